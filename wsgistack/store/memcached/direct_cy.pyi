from wsgistack.store.memcached.direct import ask as ask
