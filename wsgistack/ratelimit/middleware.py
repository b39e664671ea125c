"""Rate limits around a WSGI application.

>>> def app(environ, start_response):
...     start_response("200 OK", [])
...     return [b"hello"]
>>> application = RateLimit(app, "100/minute; 5/second")

A refused request never reaches the application.  Everybody who passes is told what is left.  Inside
the application `environ["wsgistack.ratelimit"]` is the Decision: `.remaining`, `.charge(n)`, `.refund()`.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from wsgistack import forks
from wsgistack.chores import Quotas
from wsgistack.clocks import SteadyClock
from wsgistack.errors import ConfigurationError, SettingError, StoreError
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.answers import make_answer, make_denial
from wsgistack.ratelimit.clients import Key, Trust, client_ip
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import Form, draft10, find_form
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.networks import NetworkFile, NetworkSet, parse_networks
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.usage_page import UsagePage
from wsgistack.ratelimit.waiting import make_waiting
from wsgistack.registry import find_nearest
from wsgistack.steps import Instead, Passage
from wsgistack.store.base import Store
from wsgistack.store.url import make_store
from wsgistack.wsgi import (
    Environ,
    EnvironRequest,
    ExcInfo,
    Headers,
    StartResponse,
    Watched,
    WSGIApplication,
)

__all__ = ["ENVIRON_KEY", "RateLimit"]

ENVIRON_KEY = "wsgistack.ratelimit"
WORKERS, PROCESS = "workers", "process"
log = logging.getLogger(__name__)
_made = itertools.count()


class RateLimit:
    """A WSGI application that limits *app*.

    *rate*: the language of rates.py, for each client of the whole site; or leave it out and give
    *rules*, which are all looked at, in order.  *key*: whom *rate* counts by.
    *trusted*, *forwarded*, *ipv6_prefix*, *ipv4_prefix*: see clients.Trust.
    *exempt*: networks that nothing here is about; *allow_file* names a file with more of them.
    *deny_file*: a file with networks that get 403, unless they are exempt; see networks.  *headers*: `draft10`, `draft10-pk`, `draft6`, `legacy` or `none`.
    *jitter*: up to which share of itself a wait is told longer, at random (*draw* gives a number from 0 to
    1), so that not everybody who was refused at the same moment comes back at the same moment.
    *dry_run*: refuse nobody.  *max_keys*: how many clients each limit remembers (about 100 bytes each);
    further ones are counted together, never forgiven.  *now*: microseconds that never go back.
    *store*: a store or its URL, whose users share the limits; `workers`: the worker processes of this
    server do; `process`: nobody does.  By default `workers` where the server says that there are several
    processes (wsgi.multiprocess, PEP 3333), which the first request tells.
    *on_store_error*: `local` (count in this process), `open` (let pass) or `closed` (refuse).
    *meter*: count requests by rule, key, status and hour: True in this process, or the path of a folder
    that all processes share, or a Meter; `usage_page` is the application that shows them.
    *most_waiting*: how many requests of this process may wait at once for their turn under a rate with
    `delay`, each in its thread or greenlet; further ones are refused.

    Raises SettingError and RateError at once for what cannot be meant.
    Safe for threads and greenlets; starts none.
    """

    def __init__(
        self,
        app: WSGIApplication,
        rate: str | None = None,
        *,
        rules: Sequence[Rule] = (),
        key: Key = client_ip,
        trusted: Iterable[str] = (),
        forwarded: str = "x-forwarded-for",
        ipv6_prefix: int = 64,
        ipv4_prefix: int = 32,
        exempt: Iterable[str] = (),
        allow_file: str | os.PathLike[str] = "",
        deny_file: str | os.PathLike[str] = "",
        headers: str = "draft10",
        jitter: float = 0.0,
        dry_run: bool = False,
        max_keys: int = 100_000,
        store: Store | str | None = None,
        on_store_error: str = "local",
        meter: Meter | str | os.PathLike[str] | bool = False,
        now: Callable[[], int] | None = None,
        draw: Callable[[], float] = random.random,
        most_waiting: int = 0,
    ) -> None:
        own = [] if rate is None else [Rule("default", rate, key=key)]
        if not own and not rules:
            raise SettingError("RateLimit: neither a rate such as '100/minute' nor rules are given")
        trust = Trust(trusted=trusted, forwarded=forwarded, ipv6_prefix=ipv6_prefix, ipv4_prefix=ipv4_prefix)
        self.app = app
        self.limiter = Limiter(
            [*own, *rules],
            trust=trust,
            now=now or SteadyClock().read,
            max_keys=_check_keys(max_keys),
            store=_find_store(store),
            on_store_error=on_store_error,
        )
        # Processes that are made alike make their limiters in the same order.
        self._place = f"{next(_made)} {getattr(app, '__module__', '')} {getattr(app, '__qualname__', '')}"
        self._is_placed = store not in (None, WORKERS)
        self._wants_workers = store == WORKERS
        self._placing = threading.Lock()
        forks.register(self)
        self._exempt, self._denied = _find_exempt(exempt, allow_file), _find_denied(deny_file)
        self._has_lists = bool(self._exempt) or self._denied is not None
        self._form = find_form(headers)
        self._jitter, self._draw = _check_share(jitter), draw
        self._dry_run = dry_run
        self.meter = _make_meter(meter)
        self._waiting = None if dry_run else make_waiting(self.limiter.delays, most_waiting)
        # Nothing of a request matters but who asks, nor anything after it: what most sites have.
        self._is_simple = (
            self.limiter.asks_who_only
            and not (self._has_lists or dry_run or self.limiter.settles)
            and self.meter is None
            and self._waiting is None
        )
        self._quotas = _make_quotas(self.limiter, self._form) if self._is_simple else None
        self.usage_page = None if self.meter is None else UsagePage(self.meter)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application do so."""
        if not self._is_placed:
            self._settle_place(environ)
        if self._is_simple:
            decision = self.limiter.hit_from(environ.get("REMOTE_ADDR") or "")
            environ[ENVIRON_KEY] = decision
            if decision.refused is None:
                return self.app(environ, _with_fields(start_response, self._form(decision)))
            return self._refuse(EnvironRequest(environ), decision, start_response)
        return self._serve(environ, start_response)

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = EnvironRequest(environ)
        if self._has_lists:
            address = self.limiter.trust.address(request)
            if any(address in networks for networks in self._exempt):
                return self.app(environ, start_response)
            if self._denied is not None and address in self._denied and not self._dry_run:
                return self._answer(request, start_response, *make_denial(request.field("accept") or ""))
        decision = self.limiter.hit(request) if self.meter is None else self._watch(request, self.meter)
        environ[ENVIRON_KEY] = decision
        if self._waiting is not None:
            self._waiting.hold(decision)
        counted = None
        if self.meter is not None:
            counted = _Counted(self.meter, decision, start_response, dry_run=self._dry_run)
            start_response = counted.start_response
        if decision.refused is not None and not self._dry_run:
            return self._refuse(request, decision, start_response)
        try:
            return self._pass(environ, decision, start_response)
        except BaseException:
            if counted is not None:
                counted.failed()
            raise

    def _watch(self, request: EnvironRequest, meter: Meter) -> Decision:
        """Decide, and note how it turned out and how long it took."""
        began_ns = time.perf_counter_ns()
        decision = self.limiter.hit(request)
        took_us = (time.perf_counter_ns() - began_ns + 999) // 1000
        meter.statistics.note(decision.decided_at, decision.outcomes(), took_us)
        return decision

    @property
    def is_step(self) -> bool:
        """Whether `enter` does all that is to be done: nothing waits for the response."""
        return self.meter is None and not (self.limiter.settles or self._has_lists or self._waiting)

    at_end = None

    def enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Count a request where `is_step`; return the refusal, if it is one."""
        if not self._is_placed:
            self._settle_place(environ)
        if self._quotas is not None:
            decision = self._quotas.hit(environ, passage)
        else:
            decision = self.limiter.hit(EnvironRequest(environ))
            environ[ENVIRON_KEY] = decision
            if self._dry_run:
                return None
            if decision.refused is None:
                passage.add(self._form(decision))
        if decision.refused is not None:
            return partial(self._refuse, EnvironRequest(environ), decision)
        return None

    def forked(self) -> None:
        """Make the lock anew; a place that was not settled yet is settled by the first request here."""
        self._placing = threading.Lock()

    def _settle_place(self, environ: Environ) -> None:
        """Share the limits with other processes, if there are any: before the first decision."""
        with self._placing:
            if self._is_placed:
                return
            if self._wants_workers or environ.get("wsgi.multiprocess"):
                try:
                    self.limiter.share(self._place)
                except (StoreError, ConfigurationError) as error:
                    log.warning("limits_of_one_process reason=%r", str(error))
            self._is_placed = True

    def _refuse(
        self, request: EnvironRequest, decision: Decision, start_response: StartResponse
    ) -> Iterable[bytes]:
        accept = request.field("accept") or ""
        if self._jitter and decision.wait_us != NEVER:
            # Later, never earlier than `t` of RateLimit: draft 10 §6.
            decision.wait_us += round(decision.wait_us * self._jitter * self._draw())
        answer = make_answer(decision, accept, self._form(decision))
        return self._answer(request, start_response, *answer)

    def _answer(
        self,
        request: EnvironRequest,
        start_response: StartResponse,
        status: str,
        fields: Headers,
        body: bytes,
    ) -> Iterable[bytes]:
        start_response(status, fields)
        return [] if request.method == "HEAD" else [body]

    def _pass(self, environ: Environ, decision: Decision, start_response: StartResponse) -> Iterable[bytes]:
        added = [] if self._dry_run else self._form(decision)
        if not (self.limiter.settles and decision.has_an_end):
            # The body is the application's own: a server recognises its file_wrapper.
            return self.app(environ, _with_fields(start_response, added))
        passage = _Passage(decision, start_response, added)
        try:
            body = self.app(environ, passage.start_response)
        except BaseException:
            passage.at_end(0)
            raise
        return Watched(body, passage.at_end)


def _make_quotas(limiter: Limiter, form: Form) -> Quotas:
    assert limiter.claims_of_peer is not None
    return Quotas(
        limiter, limiter.claims_of_peer, Decision, limiter.teller if form is draft10 else None, form
    )


def _with_fields(start_response: StartResponse, added: Headers) -> StartResponse:
    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Callable[[bytes], object]:
        if exc_info is None:
            return start_response(status, headers + added)
        return start_response(status, headers + added, exc_info)

    return start


def _find_exempt(exempt: Iterable[str], allow_file: str | os.PathLike[str]) -> list[NetworkSet]:
    passes: list[NetworkSet] = [parse_networks(exempt, setting="exempt")]
    if allow_file:
        passes.append(NetworkFile(allow_file, setting="allow_file"))
    return [networks for networks in passes if networks]


def _find_denied(deny_file: str | os.PathLike[str]) -> NetworkFile | None:
    return NetworkFile(deny_file, setting="deny_file") if deny_file else None


def _check_keys(max_keys: int) -> int:
    if isinstance(max_keys, bool) or not isinstance(max_keys, int) or not 1 <= max_keys <= 10**8:
        raise SettingError(f"max_keys: {max_keys!r} is not a number from 1 to 10**8")
    return max_keys


def _check_share(jitter: float) -> float:
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise SettingError(f"jitter: {jitter!r} is not a share from 0 to 1")
    return jitter


def _find_store(store: Store | str | None) -> Store | None:
    if not isinstance(store, str):
        return store
    if store in (WORKERS, PROCESS):
        return None
    if "://" not in store:
        nearest = find_nearest(store, (WORKERS, PROCESS))
        hint = f" (did you mean '{nearest}'?)" if nearest else ""
        raise SettingError(f"store: {store!r} is neither a URL nor {WORKERS} or {PROCESS}{hint}")
    return make_store(store)


def _make_meter(meter: Meter | str | os.PathLike[str] | bool) -> Meter | None:
    if isinstance(meter, bool):
        return Meter() if meter else None
    return meter if isinstance(meter, Meter) else Meter(meter)


class _Counted:
    """One request that is metered when its response begins; a later word about its status corrects it."""

    __slots__ = ("_about", "_at", "_meter", "_refused", "_start_response", "_status", "_would_refuse")

    def __init__(
        self, meter: Meter, decision: Decision, start_response: StartResponse, *, dry_run: bool
    ) -> None:
        self._meter = meter
        self._start_response = start_response
        self._at = decision.decided_at
        self._about = decision.about()
        refused = decision.refused_by()
        self._refused = [] if dry_run else refused
        self._would_refuse = decision.would_be_refused_by() + (refused if dry_run else [])
        self._status = 0

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Count, and pass on what the application says."""
        self._count(int(status[:3]))
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def failed(self) -> None:
        """Count an application that failed before it said anything."""
        if not self._status:
            self._count(500)

    def _count(self, status: int) -> None:
        if self._status:
            self._meter.count(self._at, self._about, self._status, by=-1)
            self._meter.count(self._at, self._about, status)
        else:
            self._meter.count(
                self._at, self._about, status, refused=self._refused, would_refuse=self._would_refuse
            )
        self._status = status


class _Passage:
    """One request on its way through whose end matters: settles what it really took."""

    __slots__ = ("_decision", "_start_response", "_status", "_written")

    def __init__(self, decision: Decision, start_response: StartResponse, added: Headers) -> None:
        self._decision = decision
        self._start_response = _with_fields(start_response, added)
        self._status = 0
        self._written = 0

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        """Pass on what the application says, and remember it."""
        self._status = int(status[:3])
        write = self._start_response(status, headers, exc_info)

        def count(block: bytes) -> object:
            self._written += len(block)
            return write(block)

        return count

    def at_end(self, sent: int) -> None:
        """Give back the places, count the bytes, and what the status costs."""
        self._decision.release()
        self._decision.charge_bytes(max(sent + self._written - 1, 0))  # one was counted at the start
        self._decision.charge_for_status(self._status)
