from wsgistack.account import Belief as Belief
from wsgistack.account import Bills as Bills
from wsgistack.account import Door as Door
from wsgistack.account import Quotas as Quotas
from wsgistack.account import json_line as json_line
