"""Sites of real frameworks that show whatever they see.

Every page says that all may have it for a minute, or says nothing of that, or this now and that then: a site
could not be more careless.  What it shows of a visitor is his session, his cookies, messages to him, a token
made for him, and each field by which a request could be made to mean another one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any

import bottle
import falcon
import flask
import gevent
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import re_path
from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

from tests.cache.django_site import ADAPTER, PLAIN, serving
from wsgistack.contrib.flask_pages import init_app
from wsgistack.wsgi import Environ, WSGIApplication

__all__ = ["BUCKET", "CSRF", "MARK", "ONCE", "PATHS", "SITES", "Counts"]

FRESH = ("Cache-Control", "public, max-age=60, stale-while-revalidate=30, stale-if-error=60")
MARK = re.compile(r"of-([a-z]+)-[0-9]+-end")
ONCE = re.compile(r"once-[0-9]+-end")
BUCKET = re.compile(r"wsgistack_bucket=[0-9a-f]+\.")  # of the cookie that each is given
CSRF = re.compile(r"csrf-[A-Za-z0-9]{32,}-end")
PATHS = (
    *("mirror", "silent", "mood", "late", "vary", "cookie", "me", "login", "say", "said", "token"),
    *("stream-me", "stream-token", "announced", "away", "error", "missing"),
)


class Counts:
    """How often something was shown, since a test began."""

    of = itertools.count()


def seen(environ: Environ) -> str:
    """Return all that a request tells a site, but for what it is free to vary by."""
    told = {
        name: value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("QUERY_STRING", "PATH_INFO", "RAW_URI", "CONTENT_TYPE")
    }
    return repr(sorted(told.items()))


def fields_of(name: str, environ: Environ) -> list[tuple[str, str]]:
    """Return what a page says beside its text."""
    number = next(Counts.of)
    fields = [] if name == "silent" or (name == "mood" and number % 3) else [FRESH]
    if name == "vary":
        fields.append(("Vary", "Accept-Language, Accept-Encoding"))
    if name == "cookie":
        fields.append(("Set-Cookie", f"seen=once-{number}-end"))
    if name == "away":
        fields.append(("Location", f"/mirror?{environ.get('QUERY_STRING', '')}"))
    return fields


def status_of(name: str) -> int:
    return {"away": 302, "error": 500, "missing": 404}.get(name, 200)


def pause() -> None:
    """Let others go on, as a site does that asks a database."""
    gevent.sleep(0)


# -- without any framework: a cookie `name` is who it is


def plain_site(environ: Environ, start_response: Any) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/")
    pause()
    who = re.search(r"(?:^|; )name=([^;]*)", environ.get("HTTP_COOKIE", ""))
    fields = [("Content-Type", "text/plain"), *fields_of(name, environ)]
    if name == "login":
        fields.append(("Set-Cookie", f"name={environ['QUERY_STRING'].partition('=')[2]}"))
    if name == "late":
        return late(environ, start_response, fields)
    if name == "announced":
        return announced(environ, start_response, fields)
    start_response(f"{status_of(name)} Said", fields)
    text = f"{who and who[1]} {seen(environ)}".encode()
    if name.startswith("stream"):
        return pieces(lambda: text)
    if name == "mood":
        environ["wsgistack.cache"].tag("mood")
    return [text[:10], text[10:]]


def late(environ: Environ, start_response: Any, fields: list[tuple[str, str]]) -> Iterator[bytes]:
    """Begin when the first block is asked for, and say in the middle that it is for one."""
    yield b""
    start_response("200 OK", fields)
    pause()
    yield b"begun "
    if next(Counts.of) % 2:
        environ["wsgistack.cache"].private("late")
    yield seen(environ).encode()


def announced(environ: Environ, start_response: Any, fields: list[tuple[str, str]]) -> Iterator[bytes]:
    """Say how long it is, so that who follows is sent what comes, and then that the rest is for one."""
    number = next(Counts.of)
    rest = f"{'once' if number % 2 else 'open'}-{number:06}-end".encode()
    start_response("200 OK", [*fields, ("Content-Length", str(len(b"begun " + rest + b" done")))])
    yield b"begun "
    pause()
    if number % 2:
        environ["wsgistack.cache"].private("late")
    yield rest
    for _ in range(3):  # so that others are in the middle of it too
        pause()
    yield b" done"


def pieces(use: Callable[[], bytes]) -> Iterator[bytes]:
    yield b"begun "
    pause()
    yield use()
    yield b" done"


# -- Django


def django_view(request: Any, name: str) -> Any:
    pause()
    who = request.session.get("name") if name in ("me", "login", "mood") else None
    if name == "login":
        request.session["name"] = request.GET.get("name", "")
    if name == "say":
        messages.info(request, f"said to {request.COOKIES.get('name', request.session.get('name'))}")
    told = [str(one) for one in messages.get_messages(request)] if name == "said" else []
    token = f"csrf-{get_token(request)}-end" if name == "token" else ""
    response: Any
    if name == "stream-me":
        response = StreamingHttpResponse(pieces(lambda: str(request.session.get("name")).encode()))
    elif name == "stream-token":
        response = StreamingHttpResponse(pieces(lambda: f"csrf-{get_token(request)}-end".encode()))
    else:
        text = f"{who} {told} {token} {seen(request.META)}"
        response = HttpResponse(text, content_type="text/plain", status=status_of(name))
    for field, value in fields_of(name, request.META):
        if field == "Set-Cookie":
            response.set_cookie(*value.split("="))
        else:
            response[field] = value
    return response


DJANGO_URLS = ModuleType("urls_of_neighbours")
DJANGO_URLS.urlpatterns = [re_path("^(.*?)/?$", django_view)]  # type: ignore[attr-defined]  # as a file has it
DJANGO: dict[str, Any] = {
    "ROOT_URLCONF": DJANGO_URLS,
    "APPEND_SLASH": False,
    "USE_I18N": True,
    "MIDDLEWARE": [
        ADAPTER,
        PLAIN[0],
        "django.middleware.locale.LocaleMiddleware",
        *PLAIN[1:],
        "django.middleware.http.ConditionalGetMiddleware",
    ],
}


# -- Flask


def make_flask(*, adapter: bool) -> WSGIApplication:
    site = flask.Flask("neighbours")
    site.secret_key = "of the tests"
    if adapter:
        init_app(site)

    @site.route("/<path:name>", methods=["GET", "POST"])
    def view(name: str) -> Any:
        name, environ = name.strip("/"), flask.request.environ
        pause()
        who = flask.session.get("name") if name in ("me", "login", "mood") else None
        if name == "login":
            flask.session["name"] = flask.request.args.get("name", "")
        if name == "say":
            flask.flash(f"said to {flask.session.get('name')}")
        told = flask.get_flashed_messages() if name == "said" else []
        text = f"{who} {told} {seen(environ)}"
        body: Any = text
        if name.startswith("stream"):
            body = flask.stream_with_context(pieces(lambda: str(flask.session.get("name")).encode()))
        return flask.Response(body, status_of(name), fields_of(name, environ), "text/plain")

    return site.wsgi_app


# -- Pyramid, Bottle, Falcon


def make_pyramid() -> WSGIApplication:
    def view(request: Any) -> Response:
        name = request.path_info.strip("/")
        pause()
        who = request.session.get("name") if name in ("me", "login", "mood") else None
        if name == "login":
            request.session["name"] = request.GET.get("name", "")
        if name == "say":
            request.session.flash(f"said to {request.session.get('name')}")
        told = request.session.pop_flash() if name == "said" else []
        token = f"csrf-{request.session.get_csrf_token()}-end" if name == "token" else ""
        response = Response(f"{who} {told} {token} {seen(request.environ)}", status=status_of(name))
        response.headerlist.extend(fields_of(name, request.environ))
        return response

    config = Configurator(session_factory=SignedCookieSessionFactory("of the tests"))
    config.add_route("all", "/*name")
    config.add_view(view, route_name="all")
    return config.make_wsgi_app()  # type: ignore[no-any-return]  # Pyramid has no annotations


def make_bottle() -> WSGIApplication:
    site = bottle.Bottle()

    @site.route("/<name:path>", method=["GET", "POST"])  # type: ignore[untyped-decorator]
    def view(name: str) -> Any:
        name = name.strip("/")
        # No pause: Bottle's request is the thread's, and greenlets are several there.
        who = bottle.request.get_cookie("name", secret="of the tests")
        if name == "login":
            bottle.response.set_cookie("name", bottle.request.query.get("name", ""), secret="of the tests")
        bottle.response.status = status_of(name)
        for field, value in fields_of(name, bottle.request.environ):
            bottle.response.add_header(field, value)
        text = f"{who} {seen(bottle.request.environ)}"
        return pieces(text.encode) if name.startswith("stream") else text

    return site  # type: ignore[no-any-return]  # Bottle has no annotations


class FalconView:
    """Answers whatever is asked for."""

    def on_get(self, req: Any, resp: Any, name: str) -> None:
        name = name.strip("/")
        pause()
        who = req.cookies.get("name")
        if name == "login":
            resp.set_cookie("name", req.params.get("name", ""))
        resp.status = falcon.code_to_http_status(status_of(name))
        for field, value in fields_of(name, req.env):
            if field == "Set-Cookie":
                resp.set_cookie(*value.split("="))
            else:
                resp.append_header(field, value)
        text = f"{who} {seen(req.env)}"
        if name.startswith("stream"):
            resp.stream = pieces(text.encode)
        else:
            resp.text = text

    on_post = on_get


def make_falcon() -> WSGIApplication:
    site = falcon.App()
    site.add_route("/{name:path}", FalconView())
    return site


@contextmanager
def _django(*, adapter: bool) -> Iterator[WSGIApplication]:
    settings = DJANGO if adapter else DJANGO | {"MIDDLEWARE": DJANGO["MIDDLEWARE"][1:]}
    with serving(**settings) as site:
        yield site


SITES: dict[str, Callable[[], AbstractContextManager[WSGIApplication]]] = {
    "plain": lambda: nullcontext(plain_site),
    "Django": partial(_django, adapter=False),
    "Django with its adapter": partial(_django, adapter=True),
    "Flask": lambda: nullcontext(make_flask(adapter=False)),
    "Flask with its adapter": lambda: nullcontext(make_flask(adapter=True)),
    "Pyramid": lambda: nullcontext(make_pyramid()),
    "Bottle": lambda: nullcontext(make_bottle()),
    "Falcon": lambda: nullcontext(make_falcon()),
}
