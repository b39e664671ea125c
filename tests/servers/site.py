"""A Django and a Flask site, each as it is and inside of a whole stack; run by the servers of serving.py.

/django/…, /flask/…             wrapped, as their users would
/bare/django/…, /bare/flask/…   the same site without anything around it

    page      a text that is worth compressing     who      the process's id
    echo      the request's body                   limited  the same, ten an hour for a client
    stream    1000 pieces                          bucket   in which bucket the visitor is
    file      this file, by the server's wrapper   client   REMOTE_ADDR
    news      when it was made; may be kept for a minute

The access log's path stands in SITE_LOG; SITE_STORE, where it is set, is the store of all components.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import re_path
from flask import Flask, Response, request, send_file
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from wsgistack import wrap
from wsgistack.wsgi import Environ, WSGIApplication

__all__ = ["LIMIT", "application", "urlpatterns"]

LIMIT = 10
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH"]
PAGE = "".join(f"<li>line {number} of a page that is worth compressing\n" for number in range(100))

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of a site that only the tests ask",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )


def pieces() -> Iterator[bytes]:
    """Yield what /stream sends."""
    for number in range(1000):
        yield b"%d\n" % number


def limited(environ: Environ) -> str:
    """Say who answers, not too fast, so that the other workers get something to do."""
    time.sleep(0.01)
    return str(os.getpid())


TEXTS: dict[str, Callable[[Environ], str]] = {
    "page": lambda environ: PAGE,
    "who": lambda environ: str(os.getpid()),
    "limited": limited,
    "bucket": lambda environ: str(environ.get("wsgistack.bucket")),
    "client": lambda environ: str(environ["REMOTE_ADDR"]),
    "news": lambda environ: f"made at {time.time_ns()}",
}


def fields_of(name: str) -> dict[str, str]:
    """Return what a text's response says besides its type."""
    return {"Cache-Control": "max-age=60"} if name == "news" else {}


def django_view(asked: HttpRequest, name: str) -> Any:
    """Answer a request to the Django site."""
    if name == "echo":
        return HttpResponse(asked.body, content_type="application/octet-stream")
    if name == "stream":
        return StreamingHttpResponse(pieces(), content_type="text/plain")
    if name == "file":
        return FileResponse(open(__file__, "rb"), content_type="text/x-python")  # it closes it
    return HttpResponse(TEXTS[name](asked.META), content_type="text/html", headers=fields_of(name))


def make_flask() -> Flask:
    """Return a Flask site of its own."""
    app = Flask(__name__)

    @app.route("/<name>", methods=METHODS)
    def answer(name: str) -> Response:
        if name == "echo":
            return Response(request.get_data(), mimetype="application/octet-stream")
        if name == "stream":
            return Response(pieces(), mimetype="text/plain")
        if name == "file":
            return send_file(__file__, mimetype="text/x-python")
        return Response(TEXTS[name](request.environ), mimetype="text/html", headers=fields_of(name))

    return app


def with_stack(app: WSGIApplication, mount: str) -> WSGIApplication:
    """Return *app* inside of every component."""
    return wrap(
        app,
        trust=["127.0.0.0/8"],
        request_id=True,
        access_log=os.environ["SITE_LOG"],
        metrics=True,
        rate_limit={"rules": [{"name": "limited", "rate": f"{LIMIT}/hour", "path": f"{mount}/limited"}]},
        buckets={"split": "beta 50%", "secret": "that only the tests know"},
        page_cache=True,
        compression=True,
        conditional=True,
        store=os.environ.get("SITE_STORE") or None,
    )


urlpatterns = [re_path("^(?P<name>[a-z]+)$", django_view)]
django_app = get_wsgi_application()
flask_app = make_flask()
flask_app.wsgi_app = with_stack(flask_app.wsgi_app, "/flask")  # type: ignore[assignment,method-assign]  # Flask's own advice
application: WSGIApplication = DispatcherMiddleware(
    NotFound(),
    {
        "/django": with_stack(django_app, "/django"),
        "/flask": flask_app,
        "/bare/django": django_app,
        "/bare/flask": make_flask(),
    },
)
