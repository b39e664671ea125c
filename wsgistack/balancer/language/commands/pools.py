"""POOL: nodes are added to a pool, removed, drained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgistack.balancer.address import parse_member
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ok, Reply
from wsgistack.balancer.nodefile import parse_options
from wsgistack.errors import AddressError, CommandError
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]

SYNTAX = "Invalid syntax to 'pool' command"


def pool(desk: Desk, line: Line) -> Reply:
    """Do one of ACTIONS to a node of a pool; action and name in either order."""
    found = line.match(rf"({NAME}) ({NAME}) (\S+)((?: \S+)*)")
    action, name = found[1].lower(), found[2].lower()
    if action not in ACTIONS:
        action, name = name, action
    if action not in ACTIONS:
        text = "Invalid command:  must be 'add' or 'remove'"
        nearest = find_nearest(action, ACTIONS) or find_nearest(name, ACTIONS)
        usage = POOL.usage if nearest and desk.session.source != "file" else ""
        raise CommandError(text, met=action, nearest=nearest, usage=usage)
    desk.estate.pools.check(name)
    try:
        ACTIONS[action](desk, name, found[3], found[4].split())
    except AddressError as error:
        raise CommandError(f"{SYNTAX}: {error}") from None
    return Ok()


def _add(desk: Desk, name: str, address: str, options: Sequence[str]) -> None:
    desk.estate.pools.add(name, parse_options(parse_member(address), options, complaint=f"{SYNTAX}: "))


def _remove(desk: Desk, name: str, address: str, options: Sequence[str]) -> None:
    _take_none(options)
    desk.estate.pools.remove(name, address)


def _drain(desk: Desk, name: str, address: str, options: Sequence[str]) -> None:
    _take_none(options)
    # When a file is read, the names in it were not looked up yet.
    desk.estate.pools.drain(name, address, may_come=desk.session.source == "file")


def _undrain(desk: Desk, name: str, address: str, options: Sequence[str]) -> None:
    _take_none(options)
    desk.estate.pools.undrain(name, address)


def _take_none(options: Sequence[str]) -> None:
    if options:
        raise CommandError(f"{SYNTAX}: {options[0]} has no meaning there")


ACTIONS: dict[str, Callable[[Desk, str, str, Sequence[str]], None]] = {
    "add": _add,
    "remove": _remove,
    "drain": _drain,
    "undrain": _undrain,
}

POOL = Command(
    "pool",
    "POOL <pool> {ADD|REMOVE|DRAIN|UNDRAIN} <address>[:<port>] [weight=<n>] [max=<n>] [backup]",
    "add, remove or drain a node: 1.2.3.4, [::1], a host name, srv:<name> or unix:/path",
    pool,
    example="POOL mypool ADD 10.0.0.1:8000 weight=2 max=20",
    reads=False,
)
COMMANDS = (POOL,)
