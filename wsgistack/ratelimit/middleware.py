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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from wsgistack import forks
from wsgistack.accounts import Quotas
from wsgistack.clocks import SteadyClock
from wsgistack.complaints import gather
from wsgistack.errors import ConfigurationError, StoreError
from wsgistack.ratelimit.algorithms import NEVER
from wsgistack.ratelimit.answers import make_answer, make_denial
from wsgistack.ratelimit.arguments import (
    PROCESS,
    WORKERS,
    check_share,
    find_denied,
    find_exempt,
    find_keeping,
    find_rules,
    make_meter,
)
from wsgistack.ratelimit.bodies import Bodies, Text, make_bodies
from wsgistack.ratelimit.clients import Key, Trust, client_ip
from wsgistack.ratelimit.decision import Decision
from wsgistack.ratelimit.fields import Form, draft10, find_form
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.meter import Meter
from wsgistack.ratelimit.networks import NetworkFile, NetworkSet
from wsgistack.ratelimit.operator import Operator
from wsgistack.ratelimit.responses import Counted, Settled, with_fields
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.rules_file import RulesFile
from wsgistack.ratelimit.usage_page import UsagePage
from wsgistack.ratelimit.waiting import Waiting, check_most_waiting, make_waiting
from wsgistack.steps import Instead, Passage
from wsgistack.store.base import Store
from wsgistack.wsgi import (
    Environ,
    EnvironRequest,
    Headers,
    StartResponse,
    Watched,
    WSGIApplication,
)

__all__ = ["ENVIRON_KEY", "RateLimit"]

ENVIRON_KEY = "wsgistack.ratelimit"
log = logging.getLogger(__name__)
_made = itertools.count()


class RateLimit:
    """A WSGI application that limits *app*.

    *rate*: the language of rates.py, for each client of the whole site; or leave it out and give
    *rules*, which are all looked at, in order: Rules, or mappings of what one has, as rules_file reads
    them.  *key*: whom *rate* counts by.
    *rules_file* names a file with more rules, which hold behind these; see rules_file.
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
    *store_deadline*: how many seconds a memcached server is waited for, where the URL says nothing.
    *bans_every*: after how many seconds a process asks the store again whom operators shut out (0: never);
    without a store they are found every second.
    *processes*: how many use the store, so that `local` lets each pass its share only.
    *meter*: count requests by rule, key, status and hour: True in this process, or the path of a folder
    that all processes share, or a Meter; `usage_page` is the application that shows them.
    *most_waiting*: how many requests of this process may wait at once for their turn under a rate with
    `delay`, each in its thread or greenlet; further ones are refused.
    *page*, *problem*: what those who are refused read, people and programs; see bodies.

    Raises SettingError at once with everything that cannot be meant; RateError where that is a limit alone.
    Safe for threads and greenlets; starts none.
    """

    _rules: list[Rule]
    rules_file: RulesFile | None
    _exempt: list[NetworkSet]
    _denied: NetworkFile | None
    _form: Form
    _bodies: Bodies
    _jitter: float
    _most_waiting: int
    meter: Meter | None

    def __init__(
        self,
        app: WSGIApplication,
        rate: str | None = None,
        *,
        rules: Sequence[Rule | Mapping[str, Any]] = (),
        rules_file: str | os.PathLike[str] = "",
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
        store_deadline: float = 0.02,
        processes: int = 1,
        bans_every: float = 0,
        meter: Meter | str | os.PathLike[str] | bool = False,
        now: Callable[[], int] | None = None,
        draw: Callable[[], float] = random.random,
        most_waiting: int = 0,
        page: Text = "",
        problem: Text = "",
    ) -> None:
        may_wait = dry_run or most_waiting != 0
        prefixes = {"ipv6_prefix": ipv6_prefix, "ipv4_prefix": ipv4_prefix}
        steps: tuple[Callable[[], Any], ...] = (
            partial(find_rules, rate, rules, key=key, is_enough=bool(rules_file), may_wait=may_wait),
            partial(RulesFile, rules_file, may_wait=may_wait) if rules_file else _nothing,
            partial(Trust, trusted=trusted, forwarded=forwarded, **prefixes),
            partial(find_keeping, max_keys, store, store_deadline, on_store_error, processes, bans_every),
            partial(find_exempt, exempt, allow_file),
            partial(find_denied, deny_file),
            partial(find_form, headers),
            partial(make_bodies, page, problem),
            partial(check_share, jitter),
            partial(check_most_waiting, most_waiting),
            partial(make_meter, meter),
        )
        self._rules, self.rules_file, trust, keeping, self._exempt, self._denied, *rest = gather(steps)
        self._form, self._bodies, self._jitter, self._most_waiting, self.meter = rest
        self.app, self._draw, self._dry_run = app, draw, dry_run
        all_rules = [*self._rules, *(self.rules_file.rules if self.rules_file else ())]
        self.limiter = Limiter(all_rules, trust=trust, now=now or SteadyClock().read, **keeping)
        self.operator = Operator(self.limiter)
        self._begin_place(store)
        self._has_lists = bool(self._exempt) or self._denied is not None
        self._waiting = self._make_waiting(self.limiter)
        self._simple = self._find_simple()
        self._quotas = self._make_quotas()
        # Counts a request where `is_step`, and returns the refusal, if it is one.
        self.enter: Callable[..., Instead | None] = self._quotas.enter if self._quotas else self._enter
        self.usage_page = None if self.meter is None else UsagePage(self.meter)

    def _begin_place(self, store: Store | str | None) -> None:
        # Processes that are made alike make their limiters in the same order.
        self._place = (
            f"{next(_made)} {getattr(self.app, '__module__', '')} {getattr(self.app, '__qualname__', '')}"
        )
        self._is_placed = store not in (None, WORKERS)
        self._is_at_rest = self._is_placed and self.rules_file is None
        self.is_shared = store not in (None, WORKERS, PROCESS)  # with whoever uses the store
        self._wants_workers = store == WORKERS
        self._placing = threading.Lock()
        self._is_alone = False  # the first request said that there is one process
        forks.register(self)

    def _make_waiting(self, limiter: Limiter) -> Waiting | None:
        return None if self._dry_run else make_waiting(limiter.delays, self._most_waiting)

    def _find_simple(self) -> Limiter | None:
        """Return the limiter if nothing of a request matters but who asks, nor anything after it: what
        most sites have.
        """
        is_simple = (
            self.limiter.asks_who_only
            and not (self._has_lists or self._dry_run or self.limiter.settles)
            and self.meter is None
            and self._waiting is None
        )
        return self.limiter if is_simple else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application do so."""
        if not self._is_at_rest:
            self._prepare(environ)
        simple = self._simple
        if simple is not None:
            decision = simple.hit_from(environ.get("REMOTE_ADDR") or "")
            environ[ENVIRON_KEY] = decision
            if decision.refused is None:
                return self.app(environ, with_fields(start_response, self._form(decision)))
            return self._refuse(EnvironRequest(environ), decision, start_response)
        return self._serve(environ, start_response)

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = EnvironRequest(environ)
        if self._has_lists:
            address = self.limiter.trust.address(request)
            if any(address in networks for networks in self._exempt):
                return self.app(environ, start_response)
            if self._denied is not None and address in self._denied and not self._dry_run:
                denial = make_denial(request.field("accept") or "", self._bodies)
                return self._answer(request, start_response, *denial)
        decision = self.limiter.hit(request) if self.meter is None else self._watch(request, self.meter)
        environ[ENVIRON_KEY] = decision
        waiting = self._waiting
        if waiting is not None:
            waiting.hold(decision)
        counted = None
        if self.meter is not None:
            counted = Counted(self.meter, decision, start_response, dry_run=self._dry_run)
            start_response = counted.start_response
        if decision.refused is not None and not self._dry_run:
            return self._refuse(request, decision, start_response)
        try:
            body = self._pass(environ, decision, start_response)
        except BaseException:
            if counted is not None:
                counted.at_end()
            raise
        # A body that has begun stays the application's own; one that has not may never begin.
        return body if counted is None or counted.status else Watched(body, counted.at_end)

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
        may_change = self.rules_file is not None
        return self.meter is None and not (
            may_change or self.limiter.settles or self._has_lists or self._waiting
        )

    at_end = None

    def _enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        if not self._is_at_rest:
            self._prepare(environ)
        decision = self.limiter.hit(EnvironRequest(environ))
        environ[ENVIRON_KEY] = decision
        if self._dry_run:
            return None
        if decision.refused is not None:
            return self._refusal(environ, decision)
        passage.add(self._form(decision))
        return None

    def _refusal(self, environ: Environ, decision: Decision) -> Instead:
        return partial(self._refuse, EnvironRequest(environ), decision)

    def _make_quotas(self) -> Quotas | None:
        """Return what decides instead of `_enter` where nothing of a request matters but who asks."""
        limiter = self._simple
        if limiter is None or limiter.claims_of_peer is None:
            return None
        quotas = Quotas(
            limiter,
            limiter.claims_of_peer,
            Decision,
            limiter.teller if self._form is draft10 else None,
            self._form,
            prepare=self._prepare,
            refuse=self._refusal,
        )
        quotas.is_at_rest = self._is_at_rest
        return quotas

    def join_workers(self, master: int) -> None:
        """Share the limits of the workers whose parent is *master*, as an operator does from outside.

        Nothing where the limits have a store; StoreDown where no worker has such limits.
        """
        with self._placing:
            if not self._is_placed:
                self.limiter.share(self._place, master=master, follow=self.rules_file is not None)
                self._is_placed = True

    def forked(self) -> None:
        """Make the lock anew; a place that was not settled yet is settled by the first request here."""
        if self.rules_file is not None and forks.is_held(self._placing):
            self.rules_file.forget()
        self._placing = threading.Lock()
        if self._is_alone:  # a test client asked the master, maybe
            self._is_alone = False
            self._rest(placed=False)

    def _prepare(self, environ: Environ) -> None:
        """Do what comes before a decision: see where limits are shared, and whether other rules hold."""
        if not self._is_placed:
            self._settle_place(environ)
        file = self.rules_file
        if file is not None and file.is_due():
            with self._placing:
                rules = file.look()
                if rules is not None:
                    self._follow(file, rules)

    def _follow(self, file: RulesFile, rules: list[Rule]) -> None:
        """Decide by other *rules* from now on; those of before hold where they cannot be."""
        try:
            limiter = self.limiter.successor([*self._rules, *rules])
            waiting = self._make_waiting(limiter)
        except ConfigurationError as error:
            file.refuse(error)
            return
        # Others ask meanwhile: each state of this is right for the rules of before, or of now.
        self._simple = None
        self._waiting = waiting
        self.limiter = limiter
        self.operator.follow(limiter)
        self._simple = self._find_simple()
        file.take(rules)

    def _settle_place(self, environ: Environ) -> None:
        """Share the limits with other processes, if there are any: before the first decision."""
        with self._placing:
            if self._is_placed:
                return
            if self._wants_workers or environ.get("wsgi.multiprocess"):
                try:
                    self.limiter.share(self._place, follow=self.rules_file is not None)
                except (StoreError, ConfigurationError) as error:
                    log.warning("limits_of_one_process reason=%r", str(error))
            else:
                self._is_alone = True
            self._rest(placed=True)

    def _rest(self, *, placed: bool) -> None:
        """Note whether the place is settled, and so whether a request has nothing to prepare."""
        self._is_placed = placed
        self._is_at_rest = placed and self.rules_file is None
        if self._quotas is not None:
            self._quotas.is_at_rest = self._is_at_rest

    def _refuse(
        self, request: EnvironRequest, decision: Decision, start_response: StartResponse
    ) -> Iterable[bytes]:
        accept = request.field("accept") or ""
        if self._jitter and decision.wait_us != NEVER:
            # Later, never earlier than `t` of RateLimit: draft 10 §6.
            decision.wait_us += round(decision.wait_us * self._jitter * self._draw())
        answer = make_answer(decision, accept, self._form(decision), self._bodies)
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
        if not decision.has_an_end:
            # The body is the application's own: a server recognises its file_wrapper.
            return self.app(environ, with_fields(start_response, added))
        passage = Settled(decision, start_response, added)
        try:
            body = self.app(environ, passage.start_response)
        except BaseException:
            passage.at_end(0)
            raise
        return Watched(body, passage.at_end)


def _nothing() -> None:
    return None
