"""Who asks, how often, and what a log says of it: what components do that only look at a request and count it.

`wsgistack.account_cy` is the compiled twin of this module; `accounts` picks one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wsgistack.line import json_line
from wsgistack.passage import Instead, Passage
from wsgistack.wsgi import Environ

if TYPE_CHECKING:
    from wsgistack.ratelimit.decision import Decision
    from wsgistack.ratelimit.fields import Form
    from wsgistack.ratelimit.limiter import Limiter
    from wsgistack.ratelimit.meter import Counted, Meter
    from wsgistack.ratelimit.table import Claim
    from wsgistack.ratelimit.tellers import Teller

__all__ = ["Belief", "Bills", "Door", "Quotas", "json_line"]


class Belief:
    """Corrects who asks, for `trust`.

    *learn(peer, value of each of *fields*)*: what becomes of an environ by the word of that peer, None
    if it has none.  *identity_of(variables)*: those by which proxies tell who asks.
    """

    __slots__ = ("_fields", "_identity_of", "_learn")

    def __init__(
        self,
        fields: Sequence[str],
        learn: Callable[..., dict[str, str] | None],
        identity_of: Callable[[tuple[str, ...]], tuple[str, ...]],
    ) -> None:
        self._fields = fields
        self._learn = learn
        self._identity_of = identity_of

    def enter(self, environ: Environ, passage: Passage | None = None, /) -> None:
        """Correct the environ."""
        peer = environ.get("REMOTE_ADDR") or ""
        environ["wsgistack.peer"] = peer
        told = self._learn(peer, *map(environ.get, self._fields))
        for variable in self._identity_of(tuple(environ)):
            del environ[variable]
        if told is not None:
            environ.update(told)
            if "HTTP_X_FORWARDED_PROTO" not in told:
                environ["HTTP_X_FORWARDED_PROTO"] = environ["wsgi.url_scheme"]
            if told["REMOTE_ADDR"] != peer:
                environ.pop("REMOTE_HOST", None)
                environ.pop("REMOTE_PORT", None)


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


class Quotas:
    """Counts requests by who holds the connection, and tells what is left, for `rate_limit`.

    *claims_of(address)*: what such a request counts under.  *decided*: the type of decisions.  *teller*:
    tells of all of them, None where *form(decision)* does.
    """

    __slots__ = ("_claims_of", "_decided", "_form", "_limiter", "_teller")

    def __init__(
        self,
        limiter: Limiter,
        claims_of: Callable[[str], Sequence[Claim]],
        decided: type[Decision],
        teller: Teller | None,
        form: Form,
    ) -> None:
        self._limiter = limiter
        self._claims_of = claims_of
        self._decided = decided
        self._teller = teller
        self._form = form

    def hit(self, environ: Environ, passage: Passage, /) -> Decision:
        """Count one request; return what was decided, which the environ has too."""
        limiter = self._limiter
        claims, now, bound = self._claims_of(environ.get("REMOTE_ADDR") or ""), limiter.now(), limiter.bound
        if bound is None:
            if now >= limiter.shut.look_at:
                shut = limiter.find_shut(claims, now)
                if shut is not None:
                    environ["wsgistack.ratelimit"] = shut
                    return shut
            index, wait, states = limiter.table.decide(claims, now)
        else:
            index, wait, states = bound(claims[0][1], now)
        if index >= 0:
            decision = limiter.refuse(claims, now, index, wait, states)
        else:
            decision = self._decided(limiter, claims, now, states)
            teller = self._teller
            passage.add(self._form(decision) if teller is None else teller.fields(states, now))
        environ["wsgistack.ratelimit"] = decision
        return decision
