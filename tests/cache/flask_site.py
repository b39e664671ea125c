"""A real Flask site for the tests of the page cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, flash, g, request, session, stream_with_context

from wsgistack.contrib.flask_pages import init_app

__all__ = ["make_site"]

FRESH = "public, max-age=60"


def make_site(*, adapter: bool = False, **config: Any) -> Flask:
    """Return the site; `site.calls` counts how often a view ran; *adapter*: it speaks to the cache."""
    site = Flask("site")
    site.config.update({"SECRET_KEY": "of the tests", **config})
    if adapter:
        init_app(site)
    calls = site.extensions["calls"] = {"count": 0}

    def answer(text: str, **fields: str) -> Response:
        calls["count"] += 1
        return Response(text, headers={"Cache-Control": FRESH, **fields})

    @site.get("/public")
    def public() -> Response:
        return answer(f"public {request.full_path} {request.host} {sorted(request.cookies)}")

    @site.get("/hello")
    def hello() -> Response:
        return answer(f"hello {session.get('name', 'nobody')}")

    @site.get("/in")
    def only_in() -> Response:
        """Ask `in session` alone, which once set no Vary (CVE-2026-27205)."""
        return answer("signed in" if "name" in session else "nobody")

    @site.get("/login")
    def login() -> Response:
        session["name"] = request.args["name"]
        session.permanent = True
        return answer("welcome")

    @site.get("/touched")
    def touched() -> Response:
        session["seen"] = True
        return answer("touched")

    @site.get("/flash")
    def flashes() -> Response:
        flash("saved")
        return answer("flash")

    @site.get("/user")
    def user() -> Response:
        g._login_user = "nobody"  # what Flask-Login does
        return answer("user")

    @site.get("/token")
    def token() -> Response:
        g.csrf_token = "of one visitor"  # what Flask-WTF does
        return answer("token")

    site.get("/stream-<what>")(stream)
    return site


def stream(what: str) -> Response:
    """Use something of the visitor's when the head is long gone."""

    def blocks() -> Iterator[bytes]:
        yield b"begun, "
        if what == "session":
            session["seen"] = True
        elif what == "token":
            g.csrf_token = "of one visitor"
        yield b"done"

    return Response(stream_with_context(blocks()), headers={"Cache-Control": FRESH})
