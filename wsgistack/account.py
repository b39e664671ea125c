"""Who asks, and how often: what components do that only look at requests, and count them.

`wsgistack.account_cy` is the compiled twin of this module; `accounts` picks one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wsgistack.http.identity import tells_identity
from wsgistack.memos import Memo, remember
from wsgistack.passage import Instead, Passage
from wsgistack.wsgi import Environ

if TYPE_CHECKING:
    from wsgistack.ratelimit.algorithms import State
    from wsgistack.ratelimit.decision import Decision, Judge
    from wsgistack.ratelimit.fields import Form
    from wsgistack.ratelimit.limiter import Limiter
    from wsgistack.ratelimit.limits import Limit
    from wsgistack.ratelimit.meter import Counted, Meter
    from wsgistack.ratelimit.rows import Row
    from wsgistack.ratelimit.shut import ShutList
    from wsgistack.ratelimit.table import Claim
    from wsgistack.ratelimit.tables import States
    from wsgistack.ratelimit.taking import Bound
    from wsgistack.ratelimit.tellers import Teller

__all__ = [
    "MOST_NOTES",
    "Belief",
    "Bills",
    "Decided",
    "Deciding",
    "Door",
    "Hour",
    "Notes",
    "Quotas",
]

MOST_NOTES = 256
REMEMBERED = 512  # sets of variables: bounded, as clients choose
LONGEST_SET = 4096  # characters of their names: 2 MiB at most
MOST_TOLD = 4096  # what was told of who asks
LONGEST_TOLD = 256  # characters of the fields that tell it: 1 MiB at most, for any client may write them


class Belief:
    """Corrects who asks, for `trust`: drops all variables by which proxies tell it, and writes what is believed.

    *learn(peer, value of each of *fields*)*: what becomes of an environ by the word of that peer, None
    if it has none; remembered, unless the values are long.
    """

    __slots__ = ("_fields", "_remember")

    def __init__(self, fields: Sequence[str], learn: Callable[..., dict[str, str] | None]) -> None:
        self._fields = fields
        self._remember = Memo[tuple[Any, ...], "dict[str, str] | None"](
            lambda asked: learn(*asked), MOST_TOLD, longest=LONGEST_TOLD
        )

    def enter(self, environ: Environ, passage: Passage | None = None, /) -> None:
        """Correct the environ."""
        peer = environ.get("REMOTE_ADDR") or ""
        environ["wsgistack.peer"] = peer
        told = self._remember((peer, *[environ.get(name) for name in self._fields]))
        for variable in _identity_of(tuple(environ)):
            del environ[variable]
        if told is not None:
            environ.update(told)
            if "HTTP_X_FORWARDED_PROTO" not in told:
                environ["HTTP_X_FORWARDED_PROTO"] = environ["wsgi.url_scheme"]
            if told["REMOTE_ADDR"] != peer:
                environ.pop("REMOTE_HOST", None)
                environ.pop("REMOTE_PORT", None)


@remember(REMEMBERED, longest=LONGEST_SET)
def _identity_of(variables: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of an environ's variables by which proxies tell who asks."""
    return tuple([name for name in variables if name.startswith("HTTP_") and tells_identity(name)])


class Door:
    """Lets requests pass but those for a page of one's own, for `metrics` and `metering`.

    *ask(environ, passage)*: answers for the page; the very first request is asked about in any case.
    """

    __slots__ = ("_ask", "_is_known", "_path")

    def __init__(self, path: str, ask: Callable[[Environ, Passage], Instead | None]) -> None:
        self._path = path
        self._ask = ask
        self._is_known = False

    def enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Return the page for who asks for it and may have it."""
        if self._is_known and environ.get("PATH_INFO") != self._path:
            return None
        self._is_known = True
        return self._ask(environ, passage)


class Notes:
    """Keeps what is known of responses until it is counted, many at once, for `metrics`.

    A note is (method, status, microseconds, bytes, Cache-Status, the bucket of each split).
    *settle()*: counts what `take` gives; called when there are MOST_NOTES of them, and from *bring_at* on, of
    the clock *monotonic*.  Safe for threads and greenlets.
    """

    __slots__ = ("_kept", "_monotonic", "_settle", "bring_at")

    def __init__(self, settle: Callable[[], object], monotonic: Callable[[], float]) -> None:
        self._kept: deque[Any] = deque()
        self._settle = settle
        self._monotonic = monotonic
        self.bring_at = math.inf

    def at_end(self, passage: Passage, /) -> None:
        """Keep what is known of a response."""
        get = passage.environ.get
        self.add(
            (
                get("REQUEST_METHOD") or "",
                passage.status,
                passage.took_us,
                passage.sent,
                passage.cache_status,
                get("wsgistack.buckets"),
            )
        )

    def add(self, what: object) -> None:
        """Keep *what*, and settle what is due."""
        self._kept.append(what)
        if len(self._kept) >= MOST_NOTES or (self.bring_at < math.inf and self._monotonic() >= self.bring_at):
            self._settle()

    def take(self) -> list[Any]:
        """Return what was kept, the first first, and keep it no longer."""
        taken = []
        with suppress(IndexError):  # others may take them too
            for _ in range(len(self._kept)):
                taken.append(self._kept.popleft())
        return taken


class Hour:
    """The *rows* of the hour that ends at *until_us*, counts by class of status first: what a Meter is at."""

    __slots__ = ("rows", "until_us")

    rows: dict[Counted, Row]
    until_us: int


class Bills:
    """Counts responses by the client's address, for `metering`.

    *find(address)*: what such a request counts under.  *otherwise(passage)*: counts one that a limit
    refused, or would have.  *now*: seconds since the epoch.
    """

    __slots__ = ("_find", "_meter", "_now", "_otherwise")

    def __init__(
        self,
        meter: Meter,
        find: Callable[[str], tuple[Counted, ...]],
        otherwise: Callable[[Passage], object],
        now: Callable[[], float],
    ) -> None:
        self._meter = meter
        self._find = find
        self._otherwise = otherwise
        self._now = now

    def at_end(self, passage: Passage, /) -> None:
        """Count a response."""
        environ = passage.environ
        decision = environ.get("wsgistack.ratelimit")
        if decision is not None and (decision.refused is not None or decision.would_refuse):
            self._otherwise(passage)
            return
        about = self._find(environ.get("REMOTE_ADDR") or "")
        self._meter.count(int(self._now() * 1_000_000), about, int(passage.status))


class Decided:
    """What was decided about one request: of a Decision what is known at once.

    *refused*: the limit that has no room, None if the request may pass.  *wait_us*: how long until it
    would have, algorithms.NEVER if it never will.  *would_refuse*: the limits of rules in dry run that
    had no room.
    """

    __slots__ = (
        "_claims",
        "_limiter",
        "_missed",
        "_now",
        "_states",
        "_taken",
        "refused",
        "wait_us",
        "would_refuse",
    )

    def __init__(
        self,
        limiter: Judge,
        claims: Sequence[Claim],
        now: int,
        states: Sequence[State | None],
        refused: Limit | None = None,
        wait_us: int = 0,
    ) -> None:
        self._limiter = limiter
        self._claims = claims
        self._now = now
        self._states = states
        self.refused = refused
        self.wait_us = wait_us
        self.would_refuse: Sequence[Limit] = ()
        self._missed: Sequence[Claim] = ()  # what rules in dry run would have refused
        self._taken: list[int] | None = None  # and not given back, once something was


class Deciding:
    """What a limiter decides by, now.

    *now*: microseconds since the epoch that never go back.  *bound*: what decides for a key that all claims
    of a request have, None where there is more to it: then who is shut out, which *shut* knows, and the
    *table* are asked.
    """

    __slots__ = ("bound", "now", "shut", "table")

    now: Callable[[], int]
    bound: Bound | None
    shut: ShutList
    table: States


class Quotas:
    """Counts requests by who holds the connection, and tells what is left, for `rate_limit`.

    *claims_of(address)*: what such a request counts under.  *decided*: the type of decisions.  *teller*:
    tells of all of them, None where *form(decision)* does.  *prepare(environ)*: called before each decision
    unless *is_at_rest*.  *refuse(environ, decision)*: what answers who is refused.
    """

    __slots__ = (
        "_claims_of",
        "_decided",
        "_form",
        "_limiter",
        "_prepare",
        "_refuse",
        "_teller",
        "is_at_rest",
    )

    def __init__(
        self,
        limiter: Limiter,
        claims_of: Callable[[str], Sequence[Claim]],
        decided: type[Decision],
        teller: Teller | None,
        form: Form,
        *,
        prepare: Callable[[Environ], object],
        refuse: Callable[[Environ, Decision], Instead],
    ) -> None:
        self._limiter = limiter
        self._claims_of = claims_of
        self._decided = decided
        self._teller = teller
        self._form = form
        self._prepare = prepare
        self._refuse = refuse
        self.is_at_rest = False

    def enter(self, environ: Environ, passage: Passage, /) -> Instead | None:
        """Count a request; return the refusal, if it is one.  The environ has what was decided."""
        if not self.is_at_rest:
            self._prepare(environ)
        limiter = self._limiter
        claims, now, bound = self._claims_of(environ.get("REMOTE_ADDR") or ""), limiter.now(), limiter.bound
        if bound is None:
            if now >= limiter.shut.look_at:
                shut = limiter.find_shut(claims, now)
                if shut is not None:
                    environ["wsgistack.ratelimit"] = shut
                    return self._refuse(environ, shut)
            index, wait, states = limiter.table.decide(claims, now)
        else:
            index, wait, states = bound(claims[0][1], now)
        if index >= 0:
            decision = environ["wsgistack.ratelimit"] = limiter.refuse(claims, now, index, wait, states)
            return self._refuse(environ, decision)
        decision = environ["wsgistack.ratelimit"] = self._decided(limiter, claims, now, states)
        teller = self._teller
        passage.add(self._form(decision) if teller is None else teller.fields(states, now))
        return None
