from wsgistack.store.memcached.calls import Call as Call
from wsgistack.store.memcached.calls import Wait as Wait
