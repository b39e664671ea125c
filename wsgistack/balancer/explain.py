"""Who would serve a request, and why: nothing is sent, nothing is counted.

What the plane would do is told in Python: sticky sessions by the snapshot's tokens and what workers
learned, keys by hash_key.py, nodes by routing.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.foresight import Foreseen, Listed, find_address, show_wait
from wsgistack.balancer.hash_key import find_cookie, find_key
from wsgistack.balancer.model import Pool, Service, Snapshot
from wsgistack.balancer.routing import Ranked, Row, rank_nodes
from wsgistack.balancer.split import REST, find_visitor, place_percent
from wsgistack.balancer.sticky import number_of
from wsgistack.errors import CommandError

__all__ = ["Question", "choose_service", "explain", "parse_fields"]

FIELD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+ ?:"  # RFC 9110 §5.1
DRAWN = {  # what a lot decides, in words
    "random": "one of them by lot, by weight",
    "round_robin": "each in its turn, by weight",
    "two_choices": "two of them are drawn by weight, and the lower score wins",
}
NOT_LISTED = Listed("")

Learned = Callable[[str, str, float], int]  # Stats.learned


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it would come from *peer* (an IP address, "" for nobody in particular)."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    peer: str = ""

    def field(self, name: str) -> str | None:
        """Return the first field of that name, or None."""
        return next((value for field, value in self.fields if field.lower() == name.lower()), None)

    def lines(self, name: str) -> list[str]:
        """Return the values of all fields of that name."""
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def combined(self, name: str) -> str | None:
        """Return all fields of that name as one list (RFC 9110 §5.3), or None."""
        return ", ".join(value for field, value in self.fields if field.lower() == name.lower()) or None


def parse_fields(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of `Host: a; Cookie: b=1; c=2` or `"Host: a" "Cookie: b=1"`.

    A semicolon ends a field only where another one's name follows.  Raises CommandError for a part
    that is no field.

    >>> parse_fields("Host: a; Cookie: b=1; c=2")
    (('Host', 'a'), ('Cookie', 'b=1; c=2'))
    """
    if text.startswith('"'):
        parts = re.findall(r'"([^"]*)"', text)
        if re.sub(r'"[^"]*"', "", text).strip():
            raise CommandError('a field is written "Name: value", each in quotes of its own')
    else:
        parts = re.split(rf"; ?(?={FIELD})", text) if text else []
    found = []
    for part in parts:
        name, colon, value = part.partition(":")
        if not colon or not re.fullmatch(FIELD, f"{name}:"):
            raise CommandError(f"'{part}' is no field: expected Name: value")
        found.append((name.strip(), value.strip()))
    return tuple(found)


def choose_service(snapshot: Snapshot, name: str | None) -> Service:
    """Return the service that is meant; without a name the only one that proxies."""
    if name is not None:
        service = snapshot.services[name]
        if service.role != "reverse_proxy":
            raise CommandError(f"service '{name}' passes no requests on")
        return service
    proxies = [service for service in snapshot.services.values() if service.role == "reverse_proxy"]
    if len(proxies) != 1:
        names = ", ".join(sorted(service.name for service in proxies)) or "none"
        raise CommandError(f"there are several services, or none: say which of {names}")
    return proxies[0]


def explain(
    snapshot: Snapshot,
    service: Service,
    question: Question,
    rows: Mapping[int, Row],
    *,
    now: float,
    foreseen: Sequence[Foreseen] = (),
    listed: Listed = NOT_LISTED,
    throttled: tuple[str, bool] = ("", False),
    learned: Learned = lambda service, cookie, ttl_s: 0,
) -> list[str]:
    """Return the lines; *rows* by slot of the scoreboard, *now* in epoch seconds, *learned* as in Stats.

    *listed*: what the lists of the service say of its client; *foreseen*: what the limits that are about
    it would say, in their order; *throttled*: a line on Throttle, and whether that refuses it.
    """
    lines = [f"request {question.method} {question.target}", _tell_service(service), *_tell_list(listed)]
    if listed.denied and not service.settings["log_only"]:
        return [*lines, "answer 403: the client is on the deny_file"]
    lines += filter(None, [throttled[0]])
    if throttled[1] and not service.settings["log_only"]:
        return [*lines, "answer 403: Throttle shuts it out"]
    lines += map(_tell_limit, foreseen)
    refusing = next((one for one in foreseen if one.refused and not _is_dry(one, service)), None)
    if refusing is not None and refusing.refused is not None:
        return [*lines, f"answer {refusing.refused.status}: limit {refusing.limit.name} has no room"]
    if service.cache is not None:
        lines.append(_tell_cache(service.cache, question))
    bucket, told = _find_bucket(service, question)
    lines += told
    if bucket and not _has_place(snapshot.pools[bucket], rows):
        lines.append(f"pool {bucket}: no node of it has a place, {service.pool or 'nobody'} takes it")
        bucket = ""
    name = bucket or service.pool
    if name is None:
        return [*lines, "answer 503: the service has no pool"]
    pool = snapshot.pools[name]
    method = str(pool.settings["balance_method"])
    lines.append(f"pool {pool.name}: {method}, {len(pool.nodes)} nodes")
    if pool.admits < 100:
        fate = f"go to {service.pool or 'nobody'}" if bucket else "get 503"
        lines.append(f"breaker: open, {pool.admits} % of the requests are let through, the others {fate}")
    key = None
    if ALGORITHMS.get(method).keyed:
        by = str(pool.settings["hash_key"])
        key = find_key(by, peer=question.peer, target=question.target, field=question.field)
        lines.append(f"key {by}: {'the request has none' if key is None else key}")
    if service.settings["sticky"] == "learn":
        numbers = {number_of(node.address): node.address for node in pool.nodes}
        node = numbers.get(_ask_learned(service, question, learned))
    else:
        node = _find_sticky(service, service.split_tokens[bucket] if bucket else service.tokens, question)
    if node is not None:
        lines.append(f"session {service.settings['sticky_cookie']}: sticks to {node}")
    ranked = rank_nodes(snapshot, pool.name, rows, key=key, sticks_to=node, now=now, clock=0.0)
    return [*lines, *map(_tell_node, ranked), _conclude(ranked, method, service, node)]


def _is_dry(one: Foreseen, service: Service) -> bool:
    return bool(one.limit.settings["dry_run"] or service.settings["log_only"])


def _tell_list(listed: Listed) -> list[str]:
    if listed.setting:
        return [f"list {listed.setting}: the client is on it{', no limit is about it' * listed.passes}"]
    return ["list deny_file: the client is not on it, no limit is about it"] if listed.passes else []


def _tell_limit(one: Foreseen) -> str:
    name = f"limit {one.limit.name}" + (f" ({one.level})" if one.level else "")
    if one.refused is not None and one.refused.kind == "ban":
        return f"{name}: banned, ends {show_wait(one.wait_us)}"
    if one.refused is not None:
        return f"{name}: {one.refused.engine.rate} has no room, more {show_wait(one.wait_us)}"
    told = [f"{left.left} left of {left.step.engine.rate}" for left in one.left if left.step.kind != "ban"]
    return f"{name}: {', '.join(told) or 'unlimited'}"


def _tell_cache(name: str, question: Question) -> str:
    if question.method not in ("GET", "HEAD"):
        return f"cache {name}: passes it on, and forgets the pages that it changes"
    return f"cache {name}: is asked first, `cache {name} trace URL` tells what it would say; without a page:"


def _tell_service(service: Service) -> str:
    if not service.enabled:
        return f"service {service.name}: disabled, nobody listens"
    return f"service {service.name}: listens on {', '.join(service.listen) or 'nothing'}"


def _find_bucket(service: Service, question: Question) -> tuple[str, list[str]]:
    """Return the pool of the visitor's bucket, "" for none, and lines that say why."""
    split = service.split
    if split is None:
        return "", []
    address = find_address(service, question.peer, question.combined)
    cookie = str(service.settings["split_cookie"])
    visitor = find_visitor(split, service.split_key, cookie, address=address, field=question.field)
    lines = [f"split {split}"]
    if not visitor.text:
        return "", [*lines, f"bucket: {visitor.why}; who is new is drawn by lot, and told by a cookie; else:"]
    bucket = split.split.bucket(service.split_key, visitor.as_bytes)
    at = f"{place_percent(split, service.split_key, visitor):.3f} %"
    return bucket, [*lines, f"bucket {bucket or REST}: {visitor.why} stands at {at}"]


def _has_place(pool: Pool, rows: Mapping[int, Row]) -> bool:
    return any(
        node.up
        and node.connect is not None
        and not node.draining
        and not (node.max_connections and rows.get(node.slot, Row()).in_flight >= node.max_connections)
        for node in pool.nodes
    )


def _find_sticky(service: Service, tokens: Mapping[str, str], question: Question) -> str | None:
    """Return the node that a cookie of ours names."""
    if not tokens:
        return None
    shown = find_cookie(question.field("cookie") or "", str(service.settings["sticky_cookie"]))
    return next((address for address, token in tokens.items() if token == shown), None)


def _ask_learned(service: Service, question: Question, learned: Learned) -> int:
    shown = find_cookie(question.field("cookie") or "", str(service.settings["sticky_cookie"]))
    return learned(service.name, shown, float(service.settings["sticky_ttl"])) if shown else 0  # type: ignore[arg-type]


def _tell_node(one: Ranked) -> str:
    score = "-" if one.score is None else f"{one.score:.6g}"
    return f"node {one.node.address} score {score}: {one.why}"


def _conclude(ranked: list[Ranked], method: str, service: Service, sticky: str | None) -> str:
    candidates = [one for one in ranked if one.score is not None]
    if not candidates:
        full = any(one.why.startswith("full") for one in ranked)
        return "answer: waits in the queue for a node" if full else "answer 503: no node can take it"
    first = candidates[0]
    if first.node.address == sticky or len(candidates) == 1:
        return f"answer by {first.node.address}"
    if method in DRAWN:
        return f"answer by a candidate: {DRAWN[method]}"
    return f"answer by {first.node.address}: the lowest score"
