from wsgistack.store.memcached.batches import collect as collect
from wsgistack.store.memcached.batches import find_refused as find_refused
from wsgistack.store.memcached.batches import read_known as read_known
from wsgistack.store.memcached.batches import sort_names as sort_names
from wsgistack.store.memcached.batches import store_known as store_known
