"""The smallest Flask site."""

import os

from flask import Flask

__all__ = ["application"]

application = Flask(__name__)


@application.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@application.route("/<path:path>", methods=["GET", "POST"])
def answer(path: str) -> tuple[str, dict[str, str]]:
    """Answer every request with the name and the process of this backend; the news may be kept."""
    headers = {"Content-Type": "text/plain"}
    if path == "news":
        headers["Cache-Control"] = "max-age=60"
    return f"Flask, process {os.getpid()}: you asked for /{path}\n", headers
