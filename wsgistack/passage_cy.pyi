from wsgistack.passage import Front as Front
from wsgistack.passage import Fused as Fused
from wsgistack.passage import Passage as Passage
from wsgistack.passage import Steps as Steps
