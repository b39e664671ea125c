"""Perlbal's commands that are not here: each is known by name, and says so."""

from __future__ import annotations

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Error, Reply

__all__ = ["ABSENT", "COMMANDS"]

LATER = [
    "access",
    "fd",
    "include",
    "mime",
    "noverify",
    "patterns",
    "plugins",
    "recent",
    "redirect",
    "reproxy_state",
    "state",
    "stats",
    "unload",
    "vhost",
    "vpath",
]
NEVER = [
    "aio",
    "crash",
    "gladiator",
    "leaks",
    "obj",
    "perlhandler",
    "perlrequire",
    "prof",
    "track",
    "varsize",
    "xs",
]

ABSENT = frozenset([*LATER, *NEVER])


def later(desk: Desk, line: Line) -> Reply:
    """Refuse what has still to be built."""
    return Error(f"the '{line.word}' command is not available yet")


def never(desk: Desk, line: Line) -> Reply:
    """Refuse what is about the inside of Perl."""
    return Error(f"the '{line.word}' command is about the inside of Perl and not available")


COMMANDS = (
    *(Command(word, word, "not available yet", later, example="", reads=True) for word in LATER),
    *(
        Command(word, word, "about the inside of Perl, not available", never, example="", reads=True)
        for word in NEVER
    ),
)
