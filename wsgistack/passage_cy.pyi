from wsgistack.passage import Names as Names
from wsgistack.passage import Passage as Passage
from wsgistack.passage import Steps as Steps
