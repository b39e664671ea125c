"""Servers that have no command of their own: `python -m tests.servers.run werkzeug 127.0.0.1 8000 SITE`."""

import logging
import signal
import sys
from importlib import import_module
from typing import Any

__all__ = ["SERVERS"]


def run_werkzeug(host: str, port: int, application: Any) -> None:
    """Serve by werkzeug's development server, a thread for each request."""
    from werkzeug.serving import run_simple

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    run_simple(host, port, application, threaded=True)


def run_pywsgi(host: str, port: int, application: Any) -> None:
    """Serve by gevent's server; nothing is patched."""
    import gevent
    from gevent.pywsgi import WSGIServer

    server = WSGIServer((host, port), application, log=None)
    # Else a KeyboardInterrupt comes up in whatever runs, and about one of a hundred under load goes no further.
    gevent.signal_handler(signal.SIGINT, server.stop)
    server.serve_forever()


SERVERS = {"werkzeug": run_werkzeug, "pywsgi": run_pywsgi}

if __name__ == "__main__":
    _, server, host, port, site = sys.argv
    module, _, name = site.partition(":")
    try:
        SERVERS[server](host, int(port), getattr(import_module(module), name))
    except KeyboardInterrupt:
        sys.exit(0)
