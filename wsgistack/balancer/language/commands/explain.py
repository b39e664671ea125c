"""explain: who would serve a request, and why."""

from __future__ import annotations

import ipaddress
from functools import partial

from wsgistack.balancer.explain import Question, choose_service, explain, parse_fields
from wsgistack.balancer.foresight import (
    Foreseen,
    find_address,
    find_keys,
    foresee,
    foretell_throttle,
    is_about,
    judge_lists,
)
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Lines, Reply
from wsgistack.balancer.limit import Limit
from wsgistack.balancer.model import Service, Snapshot
from wsgistack.balancer.routing import Row
from wsgistack.balancer.shedding import find_level
from wsgistack.errors import CommandError
from wsgistack.http.forwarded import Address

__all__ = ["COMMANDS"]

FORM = rf"(?:({NAME}) )?([A-Z]+) (/\S*|\*|https?://\S+)(?: from (\S+))?(?: (.+))?"


def explain_(desk: Desk, line: Line) -> Reply:
    """Tell service, pool and node of a request, with each node's score; send nothing."""
    found = line.match(FORM)
    name = desk.estate.services.get(found[1].lower()).name if found[1] else None
    snapshot = Snapshot(pools=desk.estate.pools.publish(), services=desk.estate.services.publish())
    service = choose_service(snapshot, name)
    question = Question(found[2].upper(), found[3], parse_fields(found[5] or ""), _parse_peer(found[4] or ""))
    slots = [node.slot for pool in service.pools for node in snapshot.pools[pool].nodes]
    outcomes = desk.estate.stats.outcomes(slots)
    rows = {
        slot: Row(desk.estate.stats.node(slot)["in_flight"], outcome)
        for slot, outcome in zip(slots, outcomes, strict=True)
    }
    address = find_address(service, question.peer, question.combined)
    listed = judge_lists(service, partial(desk.estate.lists.find, service), address)
    foreseen, throttled = [], ("", False)
    if not listed.passes:
        foreseen = foresee_all(desk, service, question, address)
        ledger = desk.estate.limits.ledger
        throttled = foretell_throttle(service, question.method, question.target, address, ledger)
    lines = explain(
        snapshot,
        service,
        question,
        rows,
        now=desk.now,
        foreseen=foreseen,
        listed=listed,
        throttled=throttled,
        learned=desk.estate.stats.learned,
    )
    return Lines(tuple(lines))


def foresee_all(desk: Desk, service: Service, question: Question, address: Address | None) -> list[Foreseen]:
    """Return what the service's limits that are about a request would say."""
    limits, ledger = desk.estate.limits, desk.estate.limits.ledger

    def level_of(limit: Limit) -> str:
        if not limit.sheds:
            return ""
        return find_level(limit.settings, question.target, address, question.lines)

    return [
        foresee(limit, find_keys(limit, service, ledger, address, question.field), ledger, level_of(limit))
        for limit in map(limits.get, service.limits)
        if is_about(limit, question.method, question.target, address)
    ]


def _parse_peer(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise CommandError(f"'{text}' is not the IP address of a client") from None


COMMANDS = (
    Command(
        "explain",
        "explain [<service>] <method> <target> [from <ip>] [<field>: <value>[; ...]]",
        "which service, pool and node would serve a request, and why; sends nothing",
        explain_,
        example="explain GET /index.html from 10.0.0.9 Host: www.example; Cookie: a=1",
        reads=True,
    ),
)
