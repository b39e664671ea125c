"""The site of plain.py inside of a whole stack that is used, and forks, at moments when servers do not expect it.

A thread asks it for ever from the import on, so that a server that loads it before it forks has one in its
master.  `/fork` forks in the middle of its request; the child asks for what is limited as often as X-Asks
says, and its statuses are the answer.
"""

import json
import os
import signal
import threading
import time
from typing import Any
from wsgiref.util import setup_testing_defaults

from flask import Response, request

from tests.servers.full import application
from tests.servers.plain import application as plain

__all__ = ["application"]

HANGS_S = 20
PAUSE_S = 0.0005  # the servers' own threads need a turn too


def ask(path: str, client: str, *, is_one_of_many: bool) -> int:
    """Ask the stack in this process; return the status."""
    environ: dict[str, Any] = {"PATH_INFO": path, "REMOTE_ADDR": client}
    setup_testing_defaults(environ)
    environ["wsgi.multiprocess"] = is_one_of_many
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Any:
        statuses.append(status)
        return lambda data: None

    body = application(environ, start_response)
    b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return int(statuses[0][:3])


def ask_for_ever() -> None:
    """Keep every lock of the stack busy."""
    while True:
        ask("/page", "10.8.8.8", is_one_of_many=False)
        time.sleep(PAUSE_S)


def fork(client: str, asks: int) -> bytes:
    """Return what became of the child, as JSON: its statuses."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(HANGS_S)
        met: object
        try:
            met = [ask("/limited", client, is_one_of_many=True) for _ in range(asks)]
        except Exception as error:  # noqa: BLE001 - the parent says it
            met = repr(error)
        os.write(writing, json.dumps(met).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        met = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return met if code == 0 else json.dumps(f"ended with {code}").encode()


@plain.route("/fork")
def answer_forked() -> Response:
    """Fork below the stack, in the middle of a request."""
    met = fork(request.headers["X-Forwarded-For"], int(request.headers["X-Asks"]))
    return Response(met, mimetype="application/json")


# Werkzeug and Flask import for their first request: a child that is forked meanwhile has half of it, for good.
with plain.test_client() as first:
    first.get("/page")
threading.Thread(target=ask_for_ever, daemon=True).start()
