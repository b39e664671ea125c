from wsgistack.lot import Lots as Lots
