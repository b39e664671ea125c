"""The smallest Flask site."""

import os

from flask import Flask

__all__ = ["application"]

application = Flask(__name__)


@application.route("/", defaults={"path": ""})
@application.route("/<path:path>")
def answer(path: str) -> tuple[str, dict[str, str]]:
    """Answer every request with the name and the process of this backend."""
    return f"Flask, process {os.getpid()}: you asked for /{path}\n", {"Content-Type": "text/plain"}
