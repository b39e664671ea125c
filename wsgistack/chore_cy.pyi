from wsgistack.chore import Encodings as Encodings
from wsgistack.chore import Names as Names
from wsgistack.chore import Shares as Shares
from wsgistack.chore import Tags as Tags
