"""cache: what page caches did, what they would do, and what they are not to use any more."""

from __future__ import annotations

import re

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Order, Reply
from wsgistack.errors import CommandError, NotAllowed
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]

# Whether it only reads, and what it is about.
ACTIONS = {
    "purge": (False, "<url>"),
    "softpurge": (False, "<url>"),
    "tag": (False, "<tag> ..."),
    "ban": (False, "<name>=<value> ... [soft]"),
    "stats": (True, ""),
    "trace": (True, "<url> [<field>: <value> ...]"),
}


def cache_(desk: Desk, line: Line) -> Reply:
    """Let the keeper do one of ACTIONS."""
    words = line.rest.split(maxsplit=1)
    name = words[0].lower() if words and words[0].lower() in desk.estate.caches else None
    rest = words[1:] if name else [line.rest] if words else [""]
    found = re.match(r"(\w*) *(.*)", rest[0] if rest else "", re.DOTALL)
    assert found is not None
    action, argument = found[1].lower(), found[2].strip()
    if action not in ACTIONS:
        known = [*ACTIONS, *desk.estate.caches.names()]
        nearest = find_nearest(action, known)
        raise CommandError(
            f"cache {action}: a cache or one of {', '.join(ACTIONS)} is meant", met=action, nearest=nearest
        )
    reads, about = ACTIONS[action]
    if desk.session.readonly and not reads:
        raise NotAllowed(f"this session is read-only, and 'cache {action}' changes something")
    if desk.session.source == "file":
        raise CommandError(f"'cache {action}' has no place in a file")
    if bool(argument) is not bool(about):
        raise CommandError(f"usage: cache [<cache>] {action} {about}".rstrip())
    return Order(_choose(desk, name), action, argument, reads)


def _choose(desk: Desk, name: str | None) -> tuple[str, ...]:
    """Return the caches that are meant: the one that is named, else all that some service has."""
    used = {service.cache for service in desk.estate.services.publish().values()}
    if name is not None and name not in used:
        raise CommandError(f"no service has cache '{name}': SET <service>.cache = {name}", because=name)
    chosen = [one for one in desk.estate.caches.names() if one in used and name in (None, one)]
    if not chosen:
        raise CommandError("no service has a cache: SET <service>.cache = on")
    return tuple(chosen)


COMMANDS = (
    Command(
        "cache",
        "cache [<cache>] {purge|softpurge|tag|ban|stats|trace} [<url>|<tag>|<name>=<value> ...]",
        "let pages not be used any more; how requests were answered; what would be done with one",
        cache_,
        example="cache stats",
        reads=True,
    ),
)
