"""Everything in Django that makes a page somebody's: of two visitors neither ever gets what is the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token, rotate_token
from django.template import engines
from django.urls import path
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.vary import vary_on_cookie
from werkzeug.test import Client

from tests.cache.django_site import FRESH, PLAIN, serving
from wsgistack.cache.middleware import PageCache

User = SimpleNamespace
VISITS = count()


def page(text: object, **fields: str) -> HttpResponse:
    """Return a page of which the view says that it is for everybody."""
    return HttpResponse(f"[{text}]", headers={"Cache-Control": FRESH, **fields})


def render(request: Any, text: str) -> HttpResponse:
    return page(engines["django"].from_string(text).render({"name": "x"}, request))


def begin(request: Any) -> HttpResponse:
    """Begin a visit as *name*: in messages, in cookies, and with *session* in one."""
    name = request.GET["name"]
    if "session" in request.GET:
        request.session["name"] = name
    messages.info(request, f"saved by {name}")
    response = page("begun")
    response.set_signed_cookie("signed", name)
    response.set_cookie("plain", name)
    response.set_cookie("django_language", request.GET["language"])
    return response


def own(request: Any) -> str:
    return str(request.session.get("name", "nobody"))


def user_of(request: Any) -> str:
    return str(request.user.username)


def set_cookie(request: Any) -> HttpResponse:
    response = page("welcome")
    response.set_cookie("seen", f"visit {next(VISITS)}")
    return response


def set_signed_cookie(request: Any) -> HttpResponse:
    response = page("welcome")
    response.set_signed_cookie("seen", f"visit {next(VISITS)}")
    return response


async def async_view(request: Any) -> HttpResponse:
    return page((await request.auser()).username)


async def async_session(request: Any) -> HttpResponse:
    return page(await request.session.aget("name", "nobody"))


def stream(use: Callable[[Any], object], request: Any) -> StreamingHttpResponse:
    def blocks() -> Iterator[bytes]:
        yield b"begun, "
        yield f"[{use(request)}]".encode()

    return StreamingHttpResponse(blocks(), headers={"Cache-Control": FRESH})


def by_token(request: Any) -> HttpResponse:
    """Answer as Django REST framework does: the token's user is set on the request."""
    token = request.META.get("HTTP_AUTHORIZATION", "")
    request.user = User(is_authenticated=bool(token), username=token.removeprefix("Token "))
    return page(request.user.username)


def rotate(request: Any) -> HttpResponse:
    rotate_token(request)
    return page(request.META["CSRF_COOKIE"])


VIEWS: dict[str, Callable[[Any], Any]] = {
    "session": lambda request: page(own(request)),
    "session-key": lambda request: page(request.session.session_key),
    "session-modified": lambda request: page(request.session.setdefault("at", own(request))),
    "user": lambda request: page(user_of(request)),
    "lazy-user": lambda request: page(request.lazy.username),
    "auser": lambda request: page(async_to_sync(request.auser)().username),
    "async": async_view,
    "async-session": async_session,
    "token": lambda request: page(get_token(request)),
    "token-in-template": lambda request: render(request, "<form>{% csrf_token %}</form>"),
    "token-by-name": lambda request: render(request, "{{ csrf_token }}"),
    "token-rotated": rotate,
    "messages": lambda request: page([str(one) for one in messages.get_messages(request)]),
    "messages-counted": lambda request: page(f"{len(messages.get_messages(request))} of yours"),
    "messages-in-template": lambda request: render(request, "{% for m in messages %}{{ m }}{% endfor %}"),
    "messages-asked-for": lambda request: render(request, "{% if messages %}you have some{% endif %}"),
    "user-in-template": lambda request: render(
        request, "{% if user.is_authenticated %}{{ user.username }}{% endif %}"
    ),
    "fragment": lambda request: render(
        request, "{% load cache %}{% cache 60 bar request.user.username %}{{ user.username }}{% endcache %}"
    ),
    "never": never_cache(lambda request: page(request.COOKIES.get("plain"))),
    "private": cache_control(private=True, max_age=60)(
        lambda request: HttpResponse(request.COOKIES.get("plain"))
    ),
    "vary": vary_on_cookie(lambda request: page(request.COOKIES.get("plain"))),
    "set-cookie": set_cookie,
    "set-signed-cookie": set_signed_cookie,
    "signed-cookie": vary_on_cookie(lambda request: page(request.get_signed_cookie("signed", default=""))),
    "language": lambda request: page(translation.get_language()),
    "time-zone": lambda request: page(timezone.get_current_timezone_name()),
    "field": lambda request: page(request.META.get("HTTP_X_OWN"), Vary="X-Own"),
    "authorization": lambda request: page(request.META.get("HTTP_AUTHORIZATION"), Vary="Authorization"),
    "by-token": by_token,
    "stream-session": partial(stream, own),
    "stream-user": partial(stream, user_of),
    "stream-lazy-user": partial(stream, lambda request: request.lazy.username),
    "stream-token": partial(stream, get_token),
    "stream-messages": partial(stream, lambda request: [str(one) for one in messages.get_messages(request)]),
}
URLS = ModuleType("urls_of_leaks")
URLS.urlpatterns = [path("begin", begin), *[path(name, view) for name, view in VIEWS.items()]]  # type: ignore[attr-defined]


class Visits:
    """A middleware as sites write them: who asks by a token or a session, and the visitor's time zone."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        def find() -> Any:
            name = request.session.get("name")
            return User(is_authenticated=bool(name), username=name or "nobody")

        async def afind() -> Any:
            return find_cached()

        def find_cached() -> Any:
            if not hasattr(request, "_cached_user"):
                request._cached_user = find()
            return request._cached_user

        request.user = SimpleLazyObject(find_cached)
        request.auser = afind
        token = request.headers.get("Authorization", "")
        name = token.removeprefix("Token ") or request.COOKIES.get("plain", "nobody")
        if request.path.endswith("lazy-user"):  # of one's own making: nothing but this is known of it
            request.user = request.lazy = SimpleLazyObject(
                lambda: User(is_authenticated=bool(name), username=name)
            )
        if request.path != "/time-zone":  # a session that is looked at makes Django say `Vary: Cookie`
            return self._get_response(request)
        zone = "Asia/Tokyo" if request.session.get("name") == "ann-1" else "UTC"
        with timezone.override(zone):
            return self._get_response(request)


MIDDLEWARE = [
    "wsgistack.contrib.django_pages.PageCacheMiddleware",
    PLAIN[0],
    "django.middleware.locale.LocaleMiddleware",
    *PLAIN[1:3],
    "django.contrib.messages.middleware.MessageMiddleware",
    f"{__name__}.Visits",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


@pytest.fixture(params=["anonymous", "rfc9111"])
def cache(request: pytest.FixtureRequest) -> Iterator[PageCache]:
    with serving(
        adapter=True,
        ROOT_URLCONF=URLS,
        MIDDLEWARE=MIDDLEWARE,
        TEMPLATES=TEMPLATES,
        USE_I18N=True,
        USE_TZ=True,
        LANGUAGES=[("en", "English"), ("de", "German"), ("fr", "French")],
    ) as site:
        yield PageCache(site, profile=request.param)


class Visitor:
    """One visitor with cookies, a token and a language of their own."""

    def __init__(self, cache: Any, name: str, language: str, *, begins: str, has_token: bool) -> None:
        self._client = Client(cache)
        self._headers = {"X-Own": f"own of {name}"}
        if has_token:
            self._headers["Authorization"] = f"Token {name}"
        if begins:
            assert self._client.get(f"/begin?name={name}&language={language}&{begins}").status_code == 200

    def get(self, path: str) -> tuple[bytes, list[str]]:
        answer = self._client.get(path, headers=self._headers, buffered=True)
        assert answer.status_code == 200, answer.data
        return answer.data, answer.headers.getlist("Set-Cookie")


KINDS: dict[str, dict[str, Any]] = {
    "with a session": {"begins": "session", "has_token": False},
    "with cookies alone": {"begins": "cookies", "has_token": False},
    "with a token": {"begins": "", "has_token": True},
    "with all of them": {"begins": "session", "has_token": True},
}
NOBODY: dict[str, Any] = {"begins": "", "has_token": False}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", VIEWS)
def test_nobody_gets_what_is_anothers(cache: PageCache, name: str, kind: str) -> None:
    ann = Visitor(cache, "ann-1", "de", **KINDS[kind])
    bob = Visitor(cache, "bob", "fr", **KINDS[kind])
    guest = Visitor(cache, "guest", "en", **NOBODY)
    of_ann, cookies_of_ann = ann.get(f"/{name}")
    for other in (bob, guest, Visitor(cache, "carl", "en", **NOBODY)):
        body, cookies = other.get(f"/{name}")
        assert b"ann-1" not in body
        assert b"Tokyo" not in body
        assert b"[de]" not in body
        assert b"you have some" not in body or other is bob
        assert b"1 of yours" not in body or other is bob
        if name.startswith("set-"):
            assert not set(cookies) & set(cookies_of_ann)
        if "token" in name and name != "by-token":
            assert body != of_ann
