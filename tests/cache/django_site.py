"""A real Django site for the tests of the page cache: every way in which a response becomes somebody's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import override_settings
from django.urls import path

from wsgistack.wsgi import WSGIApplication

__all__ = ["FRESH", "PLAIN", "serving"]

if not settings.configured:
    settings.configure(SECRET_KEY="of the tests")
    django.setup()

FRESH = "public, max-age=60"
ADAPTER = "wsgistack.contrib.django_pages.PageCacheMiddleware"
# What `django-admin startproject` writes, but for what needs a database or templates.
PLAIN = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]


class Calls:
    """How often the application ran, by path; reset by `serving`."""

    count = 0


def answer(text: str, **fields: str) -> HttpResponse:
    Calls.count += 1
    return HttpResponse(
        text, headers={"Cache-Control": FRESH, **{k.replace("_", "-"): v for k, v in fields.items()}}
    )


def public(request: HttpRequest) -> HttpResponse:
    return answer(f"public {request.get_full_path()} {request.get_host()} {sorted(request.COOKIES)}")


def hello(request: Any) -> HttpResponse:
    return answer(f"hello {request.session.get('name', 'nobody')}")


def login(request: Any) -> HttpResponse:
    request.session["name"] = request.GET["name"]
    return answer("welcome")


def touched(request: Any) -> HttpResponse:
    request.session["seen"] = True
    return answer("touched")


def token(request: HttpRequest) -> HttpResponse:
    return answer(f"<input value={get_token(request)}>")


def navbar(request: Any) -> HttpResponse:
    return answer("signed in" if request.user.is_authenticated else "please sign in")


def message(request: HttpRequest) -> HttpResponse:
    from django.contrib import messages

    messages.info(request, "saved")
    return answer("message")


def read_messages(request: HttpRequest) -> HttpResponse:
    from django.contrib import messages

    return answer(f"{[*messages.get_messages(request)]}")


def logout(request: Any) -> HttpResponse:
    request.session.flush()
    return answer("see you")


def async_navbar(request: Any) -> HttpResponse:
    return answer(f"signed in: {async_to_sync(request.auser)().is_authenticated}")


def by_certificate(request: Any) -> HttpResponse:
    """Answer one whom the server knows, so that there is no session."""
    request._cached_user = SimpleNamespace(is_authenticated=True)
    return answer("signed in")


def language(request: HttpRequest) -> HttpResponse:
    said = request.META.get("HTTP_ACCEPT_LANGUAGE")
    return answer("absent" if said is None else f"[{said}]", Vary="Accept-Language")


def set_cookie(request: HttpRequest) -> HttpResponse:
    response = answer("cookie", Vary="Cookie")
    response.set_cookie("visitor", str(Calls.count))
    return response


def says(request: HttpRequest) -> HttpResponse:
    """Answer with the fields that the query names, as they are."""
    fields = {name.replace("_", "-"): request.GET[name] for name in request.GET}
    Calls.count += 1
    return HttpResponse(f"secret of {request.META.get('HTTP_AUTHORIZATION', 'nobody')}", headers=fields)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    Calls.count += 1
    return StreamingHttpResponse((b"%d," % number for number in range(5)), headers={"Cache-Control": FRESH})


def stream_of(use: Callable[[Any], object]) -> Callable[[Any], StreamingHttpResponse]:
    """Return a view whose body uses something of the visitor's when its head is long gone."""

    def view(request: Any) -> StreamingHttpResponse:
        def blocks() -> Iterator[bytes]:
            Calls.count += 1
            yield b"begun, "
            yield f"{use(request)}, ".encode()
            yield b"done"

        return StreamingHttpResponse(blocks(), headers={"Cache-Control": FRESH})

    return view


def fails(request: HttpRequest) -> HttpResponse:
    raise ValueError("on purpose")


VIEWS: dict[str, Callable[..., Any]] = {
    "public": public,
    "hello": hello,
    "login": login,
    "touched": touched,
    "token": token,
    "navbar": navbar,
    "message": message,
    "read-messages": read_messages,
    "logout": logout,
    "async-navbar": async_navbar,
    "by-certificate": by_certificate,
    "language": language,
    "set-cookie": set_cookie,
    "says": says,
    "stream": stream,
    "stream-token": stream_of(get_token),
    "stream-user": stream_of(lambda request: request.user.is_authenticated),
    "stream-session": stream_of(lambda request: request.session.setdefault("seen", True)),
    "fails": fails,
}
URLS = ModuleType("urls")
URLS.urlpatterns = [path(name, view) for name, view in VIEWS.items()]  # type: ignore[attr-defined]  # as a file has it


@contextmanager
def serving(*, adapter: bool = False, **more: Any) -> Iterator[WSGIApplication]:
    """Give the site as a WSGI application; *adapter*: it speaks to the cache; *more*: settings."""
    options: dict[str, Any] = {
        "ALLOWED_HOSTS": ["*"],
        "ROOT_URLCONF": URLS,
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        "MIDDLEWARE": [ADAPTER, *PLAIN] if adapter else PLAIN,
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
        "MESSAGE_STORAGE": "django.contrib.messages.storage.cookie.CookieStorage",
        **more,
    }
    from django.core.handlers.wsgi import WSGIHandler

    with override_settings(**options):
        Calls.count = 0
        yield WSGIHandler()
