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
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from wsgistack.cache.answers import Pass, Serve
from wsgistack.cache.bans import Ban
from wsgistack.cache.coalesce import Coalescer
from wsgistack.cache.codings import Codings
from wsgistack.cache.engine import PageCacheEngine
from wsgistack.cache.filling import variable_of
from wsgistack.cache.found import Found, Place
from wsgistack.cache.guests import EVERYBODY, Guest, Guests
from wsgistack.cache.keys import IGNORED_PARAMETERS, Names, Target, find_target, normalise_prefix
from wsgistack.cache.making import (
    check_secret,
    make_audit,
    make_hosts,
    make_passing,
    make_policy,
    make_shelf,
    make_shortcut,
    make_store_of,
    make_verification,
)
from wsgistack.cache.page import Page
from wsgistack.cache.personal import Anonymous, Personal, Visitors
from wsgistack.cache.places import Places
from wsgistack.cache.purge import Purges
from wsgistack.cache.purging import METHOD, Purgers, answer_purge
from wsgistack.cache.rules import Rule, RuleBook, bypass
from wsgistack.cache.run import send_reply
from wsgistack.cache.settings import MEMORY_BYTES, check_number
from wsgistack.cache.shortcut import READS, Asked, OfKind, Verdict, Witness
from wsgistack.cache.signs import IDENTITY_COOKIES, IGNORED_COOKIES, KEYED_FIELDS
from wsgistack.cache.status import bypassed
from wsgistack.cache.together import COLLAPSED, send_together
from wsgistack.cache.trace import trace_bypass, trace_decision
from wsgistack.cache.unkept import make_unkept
from wsgistack.cache.vary import Selecting
from wsgistack.cache.verification import Verification
from wsgistack.cache.visit import Visit
from wsgistack.cache.voice import ENVIRON_KEY, Voice
from wsgistack.cache.works import Works
from wsgistack.complaints import gather
from wsgistack.errors import StoreError
from wsgistack.http.request import RequestView
from wsgistack.steps import Instead
from wsgistack.store.base import Store
from wsgistack.store.guarded import Guarded
from wsgistack.store.memory import MemoryStore
from wsgistack.wsgi import (
    Environ,
    EnvironRequest,
    ExcInfo,
    Headers,
    StartResponse,
    WSGIApplication,
    environ_of,
)

__all__ = ["PageCache"]

BY_RULE = Personal("rule")


class PageCache:
    """A WSGI application that answers for *app* what may be answered without it.

    *store*: a store or its URL; without one each process keeps up to *max_bytes* of its own.
    *profile*: `anonymous` or `rfc9111`.  *rules*: Rules, or mappings of what one has; the first that is about a request counts.
    *max_object*: bytes of the largest body that is kept.  *keep*, *stale_if_down*, *stale_if_error*:
    seconds, see settings.  *hosts*: those that are cached, patterns such as `*.example.org`; all by default.
    *codings*: those that pages are made in, the preferred first, see codings.
    *ignored_parameters*: of the query, neither keyed nor shown to the application while a page is made.
    *strict*, *identity_cookies*, *ignored_cookies*, *key_cookies*, *keyed_fields*, *is_personal*: who is
    anonymous, see personal.Visitors.  The profile `rfc9111` looks at none of these, nor at *ignored_parameters*.
    *coalesce*: requests for a page that is being made wait for it, at most *coalesce_wait* seconds.
    *verify*: share a page only after so many fills were equal.  *audit*: see audit; the attribute `audit`
    has what was found.  *purge_from*: networks whose PURGE requests are obeyed, see purging.
    *secret*: pages in the store are signed with it.  *now*: seconds since the epoch.

    Raises ConfigurationError at once with everything that cannot be meant.
    Safe for threads, greenlets and processes that share the store; starts none.
    """

    codings: Codings
    _rules: RuleBook
    _hosts: Names | None
    _purgers: Purgers

    def __init__(
        self,
        app: WSGIApplication,
        *,
        store: Store | str | None = None,
        max_bytes: int = MEMORY_BYTES,
        profile: str = "anonymous",
        rules: Sequence[Rule | Mapping[str, Any]] = (),
        max_object: int = 1024 * 1024,
        keep: float = 3600.0,
        stale_if_down: float = 3600.0,
        stale_if_error: float = 0.0,
        hosts: Iterable[str] | None = None,
        codings: Iterable[str] = (),
        ignored_parameters: Iterable[str] = IGNORED_PARAMETERS,
        strict: bool = True,
        identity_cookies: Iterable[str] = IDENTITY_COOKIES,
        ignored_cookies: Iterable[str] = IGNORED_COOKIES,
        key_cookies: Mapping[str, Iterable[str]] | None = None,
        keyed_fields: Mapping[str, Iterable[str]] = KEYED_FIELDS,
        is_personal: Callable[[RequestView], object] | None = None,
        coalesce: bool = True,
        coalesce_wait: float = 10.0,
        verify: int = 0,
        audit: bool = False,
        purge_from: Iterable[str] = (),
        secret: bytes = b"",
        now: Callable[[], float] = time.time,
    ) -> None:
        cookies: dict[str, Any] = {"identity_cookies": identity_cookies, "ignored_cookies": ignored_cookies}
        asks: dict[str, Any] = {"keyed_fields": keyed_fields, "is_personal": is_personal}
        steps: tuple[Callable[[], Any], ...] = (
            partial(make_policy, profile, keep, stale_if_down, stale_if_error),
            partial(make_store_of, store, max_bytes),
            partial(Codings, codings),
            partial(Visitors, strict=strict, key_cookies=key_cookies, **cookies, **asks),
            partial(RuleBook, rules),
            partial(make_hosts, hosts),
            partial(Names, ignored_parameters, setting="ignored_parameters"),
            partial(Purgers, purge_from),
            partial(make_verification, verify),
            partial(check_number, "max_object", max_object, least=1),
            partial(check_number, "coalesce_wait", coalesce_wait, least=0),
            partial(check_secret, secret),
        )
        policy, made, self.codings, visitors, self._rules, self._hosts, ignored, *rest = gather(steps)
        self._purgers, verification, *_ = rest
        self.app, self._now = app, now
        self.engine = PageCacheEngine(replace(policy, is_coded=bool(self.codings)))
        # Not the guarded store: who purges must hear that it was not taken.
        self.purges = Purges(made.store if isinstance(made, Guarded) else made, now=now)
        self.audit = make_audit(policy, visitors, keyed_fields) if audit else None
        self._begin_guests(Guests(visitors, self.codings) if policy.is_for_guests else None, ignored)
        guarded = made if isinstance(made, MemoryStore | Guarded) else Guarded(made)
        self.shelf = make_shelf(guarded, policy, self.purges, secret)
        self._coalescer = Coalescer[Page](guarded, wait_s=coalesce_wait) if coalesce else None
        self._works = self._make_works(max_object, verification)
        self._asks = is_personal is not None
        self._unkept = None if self._rules else make_unkept(self._works, self._guests or self.codings)
        self.set_plain("")

    def _begin_guests(self, guests: Guests | None, ignored: Names) -> None:
        self._guests = guests
        self._ignored = ignored if guests else Names((), setting="ignored_parameters")
        self._places = Places(self._hosts, self._ignored)
        self._kinds: list[Selecting] | None = guests.kinds() if guests else [EVERYBODY]

    verdict: Callable[[Environ], Verdict]  # see Shortcut.read
    witness: Witness | None = None  # told what answered plain requests

    def set_plain(self, field: str) -> None:
        """Let a request with *field*, one of keyed_fields, be as plain as one without.

        For an edge that writes it by itself: what a witness is told of depends on it.
        """
        self._shortcut = make_shortcut(
            self._guests, keyed=field and variable_of(field), learns=not self._asks
        )
        self.verdict = self._shortcut.read
        self.enter = make_passing(self._shortcut, self._unkept, self._instead).enter

    def _make_works(self, largest: int, verification: Verification | None) -> Works:
        return Works(
            self.app,
            self.engine,
            self.shelf,
            self._now,
            largest,
            self._find_places,
            self.purges,
            self._coalescer,
            verification,
            self.audit,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application do so."""
        verdict = self.verdict(environ)
        if type(verdict) is Personal:
            return self._pass(environ, start_response, verdict.why)
        return self.answer(environ, start_response, verdict)

    is_step, at_end = True, None

    def _instead(self, environ: Environ, verdict: Verdict) -> Instead:
        """Return what answers a request instead of what is further inside."""
        return lambda start_response: self.answer(environ, start_response, verdict)

    def answer(
        self, environ: Environ, start_response: StartResponse, verdict: Place | OfKind | Asked | None
    ) -> Iterable[bytes]:
        """Answer a request on which *verdict*, what `verdict` says of it, is not Personal."""
        if verdict is None or isinstance(verdict, tuple):
            return self._answer(environ, start_response, verdict, None)
        guests, witness, happened = self._guests, self.witness, self._happened()
        place, anonymous = (
            (verdict, None) if isinstance(verdict, Place) else (verdict.place, verdict.anonymous)
        )
        if anonymous is not None:
            witness = None  # what it answers by knows nothing of kinds
        if not self._is_worth_a_look(place):
            return self._answer(environ, start_response, None, None)
        mark = 0 if witness is None else witness.mark
        seen = self.codings.see(environ) if guests is None else guests.plain(environ, anonymous)
        found = self.shelf.find(place, seen.field)
        reply = self.engine.on_plain_request(found.pages, self._now())
        if reply is None:
            return self._answer(environ, start_response, None, (found, happened))
        if witness is not None:
            witness.answered(environ, place, found, mark)
        return send_reply(reply, start_response)

    def _answer(
        self,
        environ: Environ,
        start_response: StartResponse,
        asked: Asked | None,
        looked: tuple[Found, int] | None,
    ) -> Iterable[bytes]:
        """Look closer; *looked*: what was found where a look was taken already, and _happened before it."""
        request = EnvironRequest(environ)
        rule = self._rules.find(request) if self._rules else None
        guests, method = self._guests, request.method
        reads = method in READS
        dimensions: Selecting = EVERYBODY if guests is None else guests.nobody
        anonymous: Anonymous | None = None
        seen: RequestView
        if guests is not None and reads:
            guest = guests.admit(request)
            if isinstance(guest, Personal):
                return self._pass(environ, start_response, guest.why)
            seen, anonymous, dimensions = guest, guest.anonymous, guest.anonymous.dimensions
        else:
            seen = self.codings.see(environ)
        if rule is not None and rule.action == bypass:
            if asked is not None:
                self._shortcut.learn(asked, BY_RULE)
            return self._pass(environ, start_response, BY_RULE.why)
        place = self._places.find(request, dimensions)
        if isinstance(place, str):
            return self._pass(environ, start_response, place)
        target = place.target
        if not reads:
            if method == METHOD and self._purgers:
                return answer_purge(self._purgers, self.purges, request, target, start_response)
            return Visit(self._works, environ, request, place, rule).send(Pass("method"), start_response)
        if asked is not None:
            self._shortcut.learn(asked, place, anonymous)
        coalescer = self._coalescer
        found, happened = looked or self._look(place, seen)
        decision = self.engine.on_request(request, found.pages, self._now(), has_variants=found.has_variants)
        if isinstance(decision, Serve) and decision.refresh is None:
            return send_reply(decision.reply, start_response)
        if guests is not None and isinstance(seen, Guest):
            environ = guests.environ(environ, target, seen)
        else:
            environ = self.codings.show(environ)
        visit = Visit(self._works, environ, seen, place, rule, found)
        if isinstance(decision, Serve):
            return visit.serve(decision, start_response)
        if coalescer is None or method != "GET" or isinstance(decision, Pass):
            return visit.send(decision, start_response)
        if decision.why in COLLAPSED:
            return send_together(visit, decision, start_response, coalescer, happened)
        return visit.send(decision, start_response)

    def _look(self, place: Place, seen: RequestView) -> tuple[Found, int]:
        happened = self._happened()
        if self._is_worth_a_look(place):
            return self.shelf.find(place, seen.field), happened
        return Found((), generation=self.purges.ledger.serial), happened

    def _happened(self) -> int:
        return 0 if self._coalescer is None else self._coalescer.happened

    def _is_worth_a_look(self, place: Place) -> bool:
        """Tell whether anything may be stored: not where responses could not be shared, and nothing was there."""
        return self._coalescer is None or self._coalescer.is_worth_a_look(place.key.text)

    def purge(self, **about: Any) -> None:
        """Let pages not be used any more: all whose *about*, the arguments of bans.Ban, fit.

        `purge(url="https://example.com/a")`, `purge(tag="news", soft=True)`, `purge(prefix=…)`,
        `purge(host="*.example.com", path="/blog/*")`, `purge(header="Content-Type", value="image/*")`,
        `purge(older_s=3600)`, `purge(everything=True)`.  It holds in all processes that share the store
        when this returns, and costs the same for one page and for all.

        TypeError for an unknown argument, ArgumentError for what cannot be meant, StoreError when the
        store did not take it.
        """
        url, prefix = about.get("url"), about.get("prefix")
        if isinstance(url, str) and url:
            target = self._find_target(url)
            about["url"] = target.url if isinstance(target, Target) else url
        if isinstance(prefix, str):
            about["prefix"] = normalise_prefix(prefix)
        self.purges.add([Ban(**about)])

    def _pass(self, environ: Environ, start_response: StartResponse, why: str) -> Iterable[bytes]:
        """Let a request pass that is none of the cache's; the body is the application's own."""
        environ[ENVIRON_KEY] = Voice()  # so that the application need not ask whether it is there
        added = "Cache-Status", bypassed(why)

        def start(
            status: str, headers: Headers, exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            if exc_info is None:  # some servers take no None
                return start_response(status, [*headers, added])
            return start_response(status, [*headers, added], exc_info)

        return self.app(environ, start)

    def trace(self, url: str, mount: str = "", **fields: str) -> list[str]:
        """Return, line by line, what would be done with a GET of *url* now, and why; nothing is changed.

        *fields*: of the request, `_` for `-`: `trace("https://example.com/", Cookie="a=1")`.
        *mount*: SCRIPT_NAME, where a server mounts the application.
        ArgumentError for a URL that is not below it.
        """
        said = {f"HTTP_{name.upper()}": value for name, value in fields.items()}
        request = EnvironRequest(environ_of(url, mount) | said)
        rule = self._rules.find(request)
        if rule is not None and rule.action == bypass:
            return trace_bypass(rule)
        target = find_target(request, hosts=self._hosts, ignored=self._ignored)
        if isinstance(target, str):
            return trace_bypass(target)
        seen: RequestView = self.codings.see(request.environ)
        place = Place(target, EVERYBODY)
        if self._guests is not None:
            guest = self._guests.admit(request)
            if isinstance(guest, Personal):
                return trace_bypass(guest)
            seen, place = guest, Place(target, guest.anonymous.dimensions)
        found, now = self.shelf.find(place, seen.field), self._now()
        decision = self.engine.on_request(request, found.pages, now, has_variants=found.has_variants)
        return trace_decision(place, rule, found, decision, now)

    def _find_places(self, url: str) -> list[Place]:
        """Return the places of an absolute URL for all kinds of guests; none for what is no such URL."""
        target = self._find_target(url)
        if not isinstance(target, Target):
            return []
        if self._kinds is None:  # too many: one ban is about all of them
            with suppress(StoreError):
                self.purges.add([Ban(url=target.url)])
            return []
        return [Place(target, kind) for kind in self._kinds]

    def _find_target(self, url: str) -> Target | str:
        return find_target(EnvironRequest(environ_of(url)), ignored=self._ignored)
