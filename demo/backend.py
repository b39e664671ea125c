"""One backend as a process: `python -m demo.backend flask_site 127.0.0.1:8002`.

Its application is wrapped as one would do it in mysite.wsgi; its pages are kept by the balancer's cache.

gevent's own WSGI server keeps connections open and is a single process, so that SIGKILL
means what it says: no worker of a dead master goes on answering.
"""

import sys
from importlib import import_module

from gevent import socket
from gevent.pywsgi import WSGIServer

from tools.leash import die_with_parent
from wsgistack import wrap

__all__ = ["serve"]


def serve(site: str, address: str) -> None:
    """Answer requests to *address* with demo.sites.*site* until the process is ended."""
    host, _, port = address.rpartition(":")
    application = wrap(
        import_module(f"demo.sites.{site}").application,
        trust=["127.0.0.1"],  # the balancer
        request_id=True,
    )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it; pywsgi sends head and body apart, which costs 40 ms of delayed ACK without.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, int(port)))
    listener.listen(1024)
    try:
        WSGIServer(listener, application, log=None).serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    die_with_parent()  # a demo that is killed cannot end its backends
    serve(*sys.argv[1:])
