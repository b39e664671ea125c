"""The site of the trials as it is, without a line of wsgistack: `python -m tools.server_trials`.

It answers with the process's id.  Inside of a stack (full.py) `/limited` is for LIMIT requests an hour.
"""

import os
import time

from flask import Flask, Response

__all__ = ["LIMIT", "application"]

LIMIT = 10
TAKES_S = 0.005

application = Flask(__name__)


@application.route("/<name>", methods=["GET", "PUT"])
def answer(name: str) -> Response:
    """Say who answers, not too fast, so that the other workers get something to do."""
    time.sleep(TAKES_S)
    return Response(str(os.getpid()), mimetype="text/html")
