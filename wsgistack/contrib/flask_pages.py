"""`init_app`: Flask tells the page cache what it knows about a response.

    app = Flask(__name__)
    wsgistack.contrib.flask_pages.init_app(app)     # before other extensions
    app.wsgi_app = wsgistack.PageCache(app.wsgi_app)

A response is for its visitor alone when the session was changed or holds something, a CSRF token of
Flask-WTF was taken, or Flask-Login looked the user up.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, request
from flask.globals import request_ctx

from wsgistack.cache.voice import ENVIRON_KEY, Voice

__all__ = ["init_app"]

# Where extensions keep what was taken or found during a request, and what that means.
TRACES = {"_login_user": "user", "csrf_token": "csrf-token"}


def init_app(app: Flask) -> None:
    """Let *app* say `private` of responses that are for one visitor.

    What is registered first runs last: other extensions have said what they have to say by then.
    Does nothing where there is no PageCache.
    """
    app.after_request(_speak)


def _speak(response: Response) -> Response:
    voice = request.environ.get(ENVIRON_KEY)
    if isinstance(voice, Voice):
        # Not by flask.session: whoever touches that makes Flask add Vary: Cookie (CVE-2026-27205).
        session: Any = getattr(request_ctx, "_session", None)
        if session is None:
            session = request_ctx.session
        traces: Any = g._get_current_object()
        why = _why_private(session, traces)
        if why:
            voice.private(why)
        elif response.is_streamed:  # what it is made of is used later, when no context may be there
            voice.ask(lambda: _why_private(session, traces))
    return response


def _why_private(session: Any, traces: Any) -> str:
    # A session that was merely looked at is somebody's only if it holds something.
    if session.modified or len(session):
        return "session"
    for name, why in TRACES.items():
        if name in traces:
            return why
    return ""
