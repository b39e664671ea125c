from wsgistack.store.memcached.direct import ask as ask
from wsgistack.store.memcached.direct import carry_all as carry_all
