"""A page cache around a WSGI application.

>>> def app(environ, start_response):
...     start_response("200 OK", [("Cache-Control", "max-age=60")])
...     return [b"hello"]
>>> application = PageCache(app)

What may be shared is decided by RFC 9111 and the profile; what was done with a request is told in its
Cache-Status.  Nothing is started beside the application: a page that is used while it is fetched
anew is fetched when its reply has been sent, by the same thread or greenlet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from wsgistack.cache.answers import Pass, Serve
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.guests import Guest, Guests
from wsgistack.cache.keys import IGNORED_PARAMETERS, Names, Target, find_target
from wsgistack.cache.personal import IDENTITY_COOKIES, IGNORED_COOKIES, Personal, Visitors
from wsgistack.cache.policy import find_policy
from wsgistack.cache.rules import Rule, RuleBook, bypass
from wsgistack.cache.run import send_reply
from wsgistack.cache.settings import check_number
from wsgistack.cache.shelf import Place, Shelf
from wsgistack.cache.status import forwarded
from wsgistack.cache.visit import Visit, Works
from wsgistack.http.request import RequestView
from wsgistack.store.base import Store
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.store.url import make_store
from wsgistack.wsgi import Environ, EnvironRequest, ExcInfo, Headers, StartResponse, WSGIApplication

__all__ = ["PageCache"]

MEMORY_BYTES = 64 * 1024 * 1024
READS = frozenset(("GET", "HEAD"))


class PageCache:
    """A WSGI application that answers for *app* what may be answered without it.

    *store*: a store or its URL; without one each process keeps up to 64 MB of its own.
    *profile*: `anonymous` or `rfc9111`.  *rules*: the first that is about a request counts.
    *max_object*: bytes of the largest body that is kept.  *keep*, *stale_if_down*, *stale_if_error*:
    seconds, see settings.  *hosts*: those that are cached, patterns such as `*.example.org`; all by default.
    *ignored_parameters*: of the query, neither keyed nor shown to the application while a page is made.
    *strict*, *identity_cookies*, *ignored_cookies*, *key_cookies*, *is_personal*: who is anonymous, see
    personal.Visitors.  The profile `rfc9111` looks at none of these, nor at *ignored_parameters*.
    *secret*: pages in the store are signed with it.  *now*: seconds since the epoch.

    Raises ConfigurationError at once for what cannot be meant.
    Safe for threads, greenlets and processes that share the store; starts none.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        store: Store | str | None = None,
        profile: str = "anonymous",
        rules: Sequence[Rule] = (),
        max_object: int = 1024 * 1024,
        keep: float = 3600.0,
        stale_if_down: float = 3600.0,
        stale_if_error: float = 0.0,
        hosts: Iterable[str] | None = None,
        ignored_parameters: Iterable[str] = IGNORED_PARAMETERS,
        strict: bool = True,
        identity_cookies: Iterable[str] = IDENTITY_COOKIES,
        ignored_cookies: Iterable[str] = IGNORED_COOKIES,
        key_cookies: Mapping[str, Iterable[str]] | None = None,
        is_personal: Callable[[RequestView], object] | None = None,
        secret: bytes = b"",
        now: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (
            ("keep", keep),
            ("stale_if_down", stale_if_down),
            ("stale_if_error", stale_if_error),
        ):
            check_number(name, value, least=0)
        check_number("max_object", max_object, least=1)
        policy = replace(
            find_policy(profile), keep_s=keep, failure_grace_s=stale_if_down, error_grace_s=stale_if_error
        )
        made = make_store(store) if isinstance(store, str) else store or MemoryStore(MEMORY_BYTES)
        visitors = Visitors(
            strict=strict,
            identity_cookies=identity_cookies,
            ignored_cookies=ignored_cookies,
            key_cookies=key_cookies,
            is_personal=is_personal,
        )
        self.app = app
        self.engine = PageCacheEngine(policy)
        self.shelf = Shelf(
            made if isinstance(made, MemoryStore) else Guarded(made),
            reorders=policy.reorders_lists,
            keep_s=policy.keep_s,
            secret=secret,
        )
        self._now = now
        self._rules = RuleBook(rules)
        self._hosts = None if hosts is None else Names(hosts, setting="hosts")
        self._guests = Guests(visitors) if policy.is_for_guests else None
        ignored = ignored_parameters if policy.is_for_guests else ()
        self._ignored = Names(ignored, setting="ignored_parameters")
        self._works = Works(app, self.engine, self.shelf, now, max_object, self._find_place)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application do so."""
        request = EnvironRequest(environ)
        rule = self._rules.find(request) if self._rules else None
        if rule is not None and rule.action == bypass:
            return self._pass(environ, start_response, "rule")
        target = find_target(request, hosts=self._hosts, ignored=self._ignored)
        if isinstance(target, str):
            return self._pass(environ, start_response, target)
        guests = self._guests
        if request.method not in READS:
            place = Place(target, () if guests is None else guests.nobody)
            return Visit(self._works, environ, request, place, rule).send(Pass("method"), start_response)
        seen: RequestView = request
        place = Place(target)
        if guests is not None:
            guest = guests.admit(request)
            if isinstance(guest, Personal):
                return self._pass(environ, start_response, guest.why)
            seen, place = guest, Place(target, guest.anonymous.dimensions)
        found = self.shelf.find(place, seen.field)
        decision = self.engine.on_request(request, found.pages, self._now(), has_variants=found.has_variants)
        if isinstance(decision, Serve) and decision.refresh is None:
            return send_reply(decision.reply, start_response)
        if guests is not None and isinstance(seen, Guest):
            environ = guests.environ(environ, target, seen)
        visit = Visit(self._works, environ, seen, place, rule)
        if isinstance(decision, Serve):
            return visit.serve(decision, start_response)
        return visit.send(decision, start_response)

    def _pass(self, environ: Environ, start_response: StartResponse, detail: str) -> Iterable[bytes]:
        """Let a request pass that is none of the cache's; the body is the application's own."""
        added = ("Cache-Status", forwarded("bypass", detail=detail))

        def start(
            status: str, headers: Headers, exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            if exc_info is None:
                return start_response(status, [*headers, added])
            return start_response(status, [*headers, added], exc_info)

        return self.app(environ, start)

    def _find_place(self, url: str, like: Place) -> Place | None:
        """Return the place of an absolute URL with the other dimensions of *like*, None for no such URL."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        path, _, query = (slash + path or "/").partition("?")
        environ = {
            "wsgi.url_scheme": scheme,
            "HTTP_HOST": host,
            "RAW_URI": path,
            "PATH_INFO": unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1"),
            "QUERY_STRING": query,
        }
        target = find_target(EnvironRequest(environ), ignored=self._ignored)
        return Place(target, like.dimensions) if isinstance(target, Target) else None
