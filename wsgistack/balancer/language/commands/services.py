"""ENABLE, DISABLE, HEADER: a service on and off, and the fields it changes."""

from __future__ import annotations

import re

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ok, Reply
from wsgistack.errors import CommandError

__all__ = ["COMMANDS"]

ENABLE_USAGE = "Usage: {ENABLE|DISABLE} <service>"
HEADER_USAGE = "Usage: HEADER <service> {INSERT|REMOVE} <header>[: <value>]"


def enable(desk: Desk, line: Line) -> Reply:
    """Open a service's ports."""
    desk.estate.services.enable(line.match(rf"({NAME})", ENABLE_USAGE)[1].lower())
    return Ok()


def disable(desk: Desk, line: Line) -> Reply:
    """Close a service's ports; what was accepted goes on."""
    desk.estate.services.disable(line.match(rf"({NAME})", ENABLE_USAGE)[1].lower())
    return Ok()


def header(desk: Desk, line: Line) -> Reply:
    """Insert a field into requests on their way to a node, remove it there, or forget all that."""
    if cleared := re.fullmatch(rf"({NAME}) clear", line.rest, re.IGNORECASE):
        desk.estate.services.clear_fields(cleared[1].lower())
        return Ok()
    found = line.match(rf"({NAME}) (insert|remove) (.+?)(?: ?: ?(.*))?", HEADER_USAGE)
    name, action, field, value = found[1].lower(), found[2].lower(), found[3], found[4]
    desk.estate.services.get(name)
    if action == "remove":
        desk.estate.services.remove_field(name, field)
    elif not value:
        raise CommandError("no value provided")
    else:
        desk.estate.services.insert_field(name, field, value)
    return Ok()


COMMANDS = (
    Command("enable", "ENABLE <service>", "open its ports", enable, example="ENABLE mysite", reads=False),
    Command(
        "disable",
        "DISABLE <service>",
        "close its ports; what was accepted goes on",
        disable,
        example="DISABLE mysite",
        reads=False,
    ),
    Command(
        "header",
        "HEADER <service> {INSERT|REMOVE|CLEAR} [<header>[: <value>]]",
        "change requests on their way to a node: removals first, then insertions; CLEAR forgets both",
        header,
        example="HEADER mysite INSERT X-Served-By: wsgistack",
        reads=False,
    ),
)
