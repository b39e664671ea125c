from wsgistack.account import Belief as Belief
from wsgistack.account import Bills as Bills
from wsgistack.account import Decided as Decided
from wsgistack.account import Deciding as Deciding
from wsgistack.account import Door as Door
from wsgistack.account import Hour as Hour
from wsgistack.account import Notes as Notes
from wsgistack.account import Quotas as Quotas
