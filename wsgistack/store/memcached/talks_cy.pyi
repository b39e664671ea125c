from wsgistack.store.memcached.talks import Connection as Connection
from wsgistack.store.memcached.talks import ask as ask
from wsgistack.store.memcached.talks import talk as talk
