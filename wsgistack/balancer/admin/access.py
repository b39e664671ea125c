"""Who may use an admin port: tokens, the read-only role, and failed attempts; pure."""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from wsgistack.balancer.admin_settings import make_digest

__all__ = ["Attempts", "Granted", "Keys", "Refused", "admit"]

MOST_FAILURES = 5  # of one peer within
WINDOW_S = 60.0
MOST_PEERS = 1024  # that are remembered; the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a port: the digests of its tokens.  Without any it is open.

    *readonly*: nobody changes anything there, whatever the token.
    """

    admin: tuple[str, ...] = ()
    reader: tuple[str, ...] = ()
    readonly: bool = False
    locked: bool = False  # a token is wanted, and there is none to be had: nobody gets in

    @property
    def ask(self) -> bool:
        """Tell whether a token is needed."""
        return bool(self.admin or self.reader or self.locked)


@dataclass(frozen=True, slots=True)
class Granted:
    """Come in."""

    readonly: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Stay out.  *failed*: a wrong token was shown.  *retry_after_s*: when asking makes sense again."""

    text: str
    failed: bool = False
    retry_after_s: float = 0.0


class Attempts:
    """The failed attempts of each peer: after MOST_FAILURES within WINDOW_S it has to wait.

    *now* is in seconds of any clock that only goes forward.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, peer: str, now: float) -> float:
        """Return for how many seconds that peer is not listened to."""
        recent = [at for at in self._failures.get(_network(peer), []) if at > now - WINDOW_S]
        return recent[-MOST_FAILURES] + WINDOW_S - now if len(recent) >= MOST_FAILURES else 0.0

    def fail(self, peer: str, now: float) -> None:
        """Note a wrong token."""
        network = _network(peer)
        recent = [*self._failures.pop(network, []), now]
        self._failures[network] = recent[-MOST_FAILURES:]
        if len(self._failures) > MOST_PEERS:
            self._failures.popitem(last=False)


def admit(keys: Keys, token: str | None, *, peer: str, attempts: Attempts, now: float) -> Granted | Refused:
    """Say whether whoever shows *token* may come in; a wrong one is noted in *attempts*.

    *peer*: an IP address, or any word for what has none.  While a peer has to wait the right token
    does not help it: else waiting would cost a guesser nothing.
    """
    if not keys.ask:
        return Granted(readonly=keys.readonly)
    if (wait_s := attempts.wait_s(peer, now)) > 0:
        return Refused(f"too many wrong tokens: try again in {wait_s:.0f} s", retry_after_s=wait_s)
    if token is None:
        return Refused("a token is needed here")
    digest = make_digest(token)
    if _is_among(digest, keys.admin):
        return Granted(readonly=keys.readonly)
    if _is_among(digest, keys.reader):
        return Granted(readonly=True)
    attempts.fail(peer, now)
    return Refused("wrong token", failed=True)


def _is_among(digest: str, known: Iterable[str]) -> bool:
    # All are compared, each in constant time: how long it takes tells nothing.
    return sum(hmac.compare_digest(digest, one) for one in known) > 0


def _network(peer: str) -> str:
    """Return what attempts are counted by: an IPv6 site has 2**64 addresses of its own."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else peer
