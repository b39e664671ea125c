"""`trust`: who the client is, when proxies of ours stand in front.

    from wsgistack import wrap

    application = wrap(application, trust=["10.0.0.0/8"])

From a trusted peer, REMOTE_ADDR, wsgi.url_scheme and HTTP_HOST become what the client's connection
was, and the forwarded fields say the same and nothing else.  From anybody else every such field is
dropped: an application that reads one cannot be lied to.  Who held the connection stays in
`environ["wsgistack.peer"]`.

>>> def app(environ, start_response):
...     start_response("200 OK", [])
...     return [environ["REMOTE_ADDR"].encode()]
>>> application = Trust(app, trusted=["10.0.0.0/8"])

- In the response: nothing changes.
- It costs 2 to 4 µs a request.
- It does not read `X-Real-IP` or a CDN's own field: one field counts, the one that `forwarded` names.  It
  knows a proxy by its address alone, so nobody else may have an address of the networks listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from wsgistack.accounts import Belief
from wsgistack.complaints import gather
from wsgistack.errors import SettingError
from wsgistack.http.forwarded import (
    elements_of_forwarded,
    hops_of_x_forwarded_for,
    parse_hop,
    walk,
)
from wsgistack.ratelimit.networks import Networks, parse_peers
from wsgistack.registry import find_hint
from wsgistack.settings import BOOL, WORDS, Setting, Table, make_choice
from wsgistack.wsgi import Environ, StartResponse, WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "PLACE", "SETTINGS", "Trust", "make"]

HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

NAME = "trust"
PLACE = 10
HELP = "the client's address, scheme and host as our own proxies tell them; nobody else is believed"
MAIN = "trusted"
SETTINGS = Table(
    "trust",
    [
        Setting("trusted", WORDS, (), "networks of our proxies, and `unix` for peers on a Unix socket"),
        Setting(
            "forwarded",
            make_choice(lambda: READERS, "forwarded: '{text}' is not a field that proxies set"),
            "x-forwarded-for",
            "the field that they set: `x-forwarded-for` (with -proto and -host) or `forwarded`",
        ),
        Setting("host", BOOL, True, "take the host too, as X-Forwarded-Host or `host=` tells it"),
    ],
)


class Trust:
    """A WSGI application that tells *app* who the client is.  Settings: see SETTINGS.

    Proxies must set or append the field themselves; of a scheme and host the value is taken that the
    proxy next to the client gave.  A value that is none (a scheme but http and https, a host with
    other characters) is passed over.  Costs a few microseconds.  Safe for threads and greenlets.
    """

    is_step = True
    at_end = None
    _unix: bool
    _networks: Networks

    def __init__(
        self,
        app: WSGIApplication,
        *,
        trusted: Iterable[str] = (),
        forwarded: str = "x-forwarded-for",
        host: bool = True,
    ) -> None:
        steps: tuple[Callable[[], Any], ...] = (
            partial(parse_peers, trusted, setting="trusted"),
            partial(_check_field, forwarded),
        )
        (self._unix, self._networks), _ = gather(steps)
        self.app = app
        fields, self._read = READERS[forwarded]
        self.enter: Callable[..., None] = Belief(fields, self._believe).enter
        self._host = host

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Correct the environ and pass it on."""
        self.enter(environ)
        return self.app(environ, start_response)

    def _believe(self, peer: str, *values: str | None) -> dict[str, str] | None:
        """Return what becomes of the environ by the word of *peer*, None if it has none."""
        address = parse_hop(peer)
        told = self._read(*values) if self._is_trusted(address) else []
        if not told:
            return None
        client, depth = walk(peer, [element.get("for", "") for element in told], self._is_trusted)
        # What the proxy next to the client wrote: the element by which the walk came to the client.
        element = told[-depth] if depth else told[-1]
        client_ip = "" if client is None else str(client)
        variables = {"REMOTE_ADDR": client_ip, "HTTP_X_FORWARDED_FOR": client_ip or "unknown"}
        scheme = element.get("proto", "").lower()
        if scheme in ("http", "https"):
            variables["wsgi.url_scheme"] = variables["HTTP_X_FORWARDED_PROTO"] = scheme
            variables["SERVER_PORT"] = "443" if scheme == "https" else "80"
        host = element.get("host", "")
        if self._host and HOST.fullmatch(host):
            variables["HTTP_HOST"] = variables["HTTP_X_FORWARDED_HOST"] = host
        return variables

    def _is_trusted(self, address: object) -> bool:
        return self._unix if address is None else address in self._networks  # type: ignore[operator]  # an Address


def _check_field(forwarded: str) -> None:
    if forwarded not in READERS:
        raise SettingError(
            f"forwarded: {forwarded!r} is not one of {', '.join(READERS)}{find_hint(str(forwarded), READERS)}"
        )


def _read_forwarded(forwarded: str | None) -> list[dict[str, str]]:
    return elements_of_forwarded(forwarded or "")


def _read_x_forwarded(addresses: str | None, proto: str | None, host: str | None) -> list[dict[str, str]]:
    """Return what Forwarded would say, from the three fields that say it apart.

    A list that is as long as that of the addresses was written hop by hop; a shorter one was set by
    a proxy of ours and stands for all hops, its last value first of all.
    """
    elements = [{"for": hop} for hop in hops_of_x_forwarded_for(addresses or "")]
    for name, told in (("proto", proto), ("host", host)):
        values = [value.strip() for value in (told or "").split(",")]
        values = [values[-1]] * (len(elements) - len(values)) + values
        for element, value in zip(elements, values[-len(elements) :], strict=True):
            element[name] = value
    return elements


READERS: dict[str, tuple[tuple[str, ...], Callable[..., list[dict[str, str]]]]] = {
    "x-forwarded-for": (
        ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"),
        _read_x_forwarded,
    ),
    "forwarded": (("HTTP_FORWARDED",), _read_forwarded),
}

make = Trust
