"""PURGE by HTTP, from addresses that may: `PURGE /news/1`, with a tag or softly by a field.

    curl -X PURGE http://example.com/news/1
    curl -X PURGE -H 'Cache-Tag: news, author:7' -H 'Soft-Purge: 1' http://example.com/

Whoever holds the connection counts, never what a field says of him.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from wsgistack.cache.bans import Ban
from wsgistack.cache.keys import Target
from wsgistack.cache.purge import Purges
from wsgistack.cache.status import PURGED
from wsgistack.complaints import gather
from wsgistack.errors import ArgumentError, SettingError, StoreError
from wsgistack.http.fields import split_list
from wsgistack.http.forwarded import parse_hop
from wsgistack.http.networks import Network, parse_network
from wsgistack.http.request import RequestView
from wsgistack.wsgi import StartResponse

__all__ = ["METHOD", "TAGS", "Purgers", "answer_purge", "bans_of", "find_answer", "read_tags"]

METHOD = "PURGE"
# Where other caches look for tags: Cloudflare, Varnish's xkey, Fastly.
TAGS = ("cache-tag", "xkey", "surrogate-key")
MOST_TAGS = 256


class Purgers:
    """The networks from which pages may be purged; none: PURGE is a method like any other."""

    def __init__(self, networks: Iterable[str]) -> None:
        if isinstance(networks, str):
            raise SettingError(f"purge_from: {networks!r} is one text, expected a list of networks")
        self._networks = gather(partial(_parse, network) for network in networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def may(self, request: RequestView) -> bool:
        """Tell whether who holds the connection may purge; a Unix socket's other end has no address."""
        address = parse_hop(request.peer)
        return address is not None and any(address in network for network in self._networks)


def _parse(network: str) -> Network:
    try:
        return parse_network(network)
    except ValueError:
        text = f"purge_from: {network!r:.80} is not a network such as 10.0.0.0/8 or 2001:db8::/32"
        raise SettingError(text) from None


def answer_purge(
    purgers: Purgers, purges: Purges, request: RequestView, target: Target, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a PURGE by HTTP."""
    failed: Exception | None = None
    try:
        if not purgers.may(request):
            raise PermissionError
        purges.add(bans_of(request, target))
    except (PermissionError, StoreError) as error:
        failed = error
    status, text = find_answer(failed)
    body = text.encode("latin-1", "replace")
    fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response(status, [*fields, ("Cache-Status", PURGED)])
    return [body]


def bans_of(request: RequestView, target: Target) -> list[Ban]:
    """Return what a PURGE asks for: its tags if it names some, else its URL.  ArgumentError for nonsense."""
    soft = (request.field("soft-purge") or "0").strip() not in ("", "0")
    tags = read_tags(request.field)
    if len(tags) > MOST_TAGS:
        raise ArgumentError(f"purge: {len(tags)} tags; one request names at most {MOST_TAGS}")
    if tags:
        return [Ban(tag=tag, soft=soft).check() for tag in dict.fromkeys(tags)]
    return [Ban(url=target.url, soft=soft)]


def read_tags(field: Callable[[str], str | None]) -> list[str]:
    """Return the tags that the fields of a PURGE, or of a response, name; *field* gives a field's value."""
    tags: list[str] = []
    for name in TAGS:
        value = field(name)
        if value is not None:
            tags += split_list(value) if name == "cache-tag" else value.split()
    return tags


def find_answer(error: Exception | None) -> tuple[str, str]:
    """Return the status and the text for what came of a purge."""
    if error is None:
        return "200 OK", "purged\n"
    if isinstance(error, ArgumentError):
        return "400 Bad Request", f"{error}\n"
    if isinstance(error, StoreError):
        return "503 Service Unavailable", "the store did not take it; try again\n"
    return "403 Forbidden", "this address may not purge\n"
