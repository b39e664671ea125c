from wsgistack.line import Lines as Lines
from wsgistack.line import json_line as json_line
