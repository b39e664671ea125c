"""POOL: adding and removing nodes."""

from __future__ import annotations

import re

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ok, Reply
from wsgistack.balancer.pools import HEAVIEST
from wsgistack.errors import AddressError, CommandError
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]

ACTIONS = ("add", "remove")
SYNTAX = "Invalid syntax to 'pool' command"


def pool(desk: Desk, line: Line) -> Reply:
    """Add a node to a pool or remove it; action and name in either order."""
    found = line.match(rf"({NAME}) ({NAME}) (\S+)((?: \S+=\S+)*)")
    action, name = found[1].lower(), found[2].lower()
    if action not in ACTIONS:
        action, name = name, action
    if action not in ACTIONS:
        text = "Invalid command:  must be 'add' or 'remove'"
        raise CommandError(text, met=action, nearest=find_nearest(action, ACTIONS))
    weight = _parse_options(found[4], allowed=action == "add")
    try:
        if action == "add":
            desk.estate.pools.add(name, found[3], weight=weight)
        else:
            desk.estate.pools.remove(name, found[3])
    except AddressError as error:
        raise CommandError(f"{SYNTAX}: {error}") from None
    return Ok()


def _parse_options(text: str, *, allowed: bool) -> int:
    weight = 1
    for option in text.split():
        key, _, value = option.partition("=")
        if not allowed:
            raise CommandError(f"{SYNTAX}: {option} has no meaning there")
        if key.lower() != "weight":
            nearest = find_nearest(key.lower(), ("weight",))
            raise CommandError(f"{SYNTAX}: {option}", met=key, nearest=nearest)
        if not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= HEAVIEST:
            raise CommandError(f"{SYNTAX}: weight: '{value}' is not a number from 1 to {HEAVIEST}")
        weight = int(value)
    return weight


COMMANDS = (
    Command(
        "pool",
        "POOL <pool> {ADD|REMOVE} <address>[:<port>] [weight=<n>]",
        "add or remove a node: 1.2.3.4, [::1], a host name or unix:/path",
        pool,
        example="POOL mypool ADD 10.0.0.1:8000 weight=2",
        reads=False,
    ),
)
