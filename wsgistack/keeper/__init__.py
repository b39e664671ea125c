"""The keeper: the process in which a balancer's page caches decide, beside the workers.

Workers answer what needs no decision out of the ready table.  All else about a cached service is sent
here over a Unix socket, as if to a node: the same `wsgistack.PageCache` as in a WSGI stack answers
it, around an application (origin.py) that asks the balancer's nodes by way of its inner listener.

    server.py    requests from the workers; requests.py reads them, wire.py is the connection
    edge.py      what a request is before the cache sees it, and what becomes of failures
    origin.py    the application: one request to the inner listener; replies.py reads what comes
    ready.py     which pages need no decision any more, and when that ends
    caches.py    the caches as the configuration has them
    orders.py    what operators ask: purge, ban, trace
    process.py   the process itself

It is the one room that knows both the balancer's channel and WSGI.
"""
