"""reload, save, diff, upgrade: the file, what was changed since it was read, and the program itself."""

from __future__ import annotations

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Reply, Task

__all__ = ["COMMANDS"]


def reload(desk: Desk, line: Line) -> Reply:
    """Read the file again and do what differs."""
    return Task("reload", line.match("(check|discard)?")[0].lower())


def save(desk: Desk, line: Line) -> Reply:
    """Write the configuration to a file, by default the one that it came from."""
    return Task("save", line.match(r"(\S+)?")[0])


def diff(desk: Desk, line: Line) -> Reply:
    """Show what differs from the file."""
    line.take_nothing()
    return Task("diff")


def upgrade(desk: Desk, line: Line) -> Reply:
    """Start the program anew and hand everything over to it."""
    line.take_nothing()
    return Task("upgrade")


COMMANDS = (
    Command(
        "reload",
        "reload [check|discard]",
        "read the file again and do what differs; check: only show it; discard: forget other changes",
        reload,
        example="reload check",
        reads=False,
    ),
    Command(
        "save",
        "save [<file>]",
        "write the configuration, by default to the file that it came from",
        save,
        example="save",
        reads=False,
    ),
    Command(
        "diff",
        "diff",
        "the commands that would make the file's state into the running one",
        diff,
        example="diff",
        reads=True,
    ),
    Command(
        "upgrade",
        "upgrade",
        "start the program anew, hand the ports over to it, and end when what runs is done",
        upgrade,
        example="upgrade",
        reads=False,
    ),
)
