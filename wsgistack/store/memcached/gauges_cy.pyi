from wsgistack.store.memcached.gauges import Histogram as Histogram
from wsgistack.store.memcached.gauges import Patience as Patience
