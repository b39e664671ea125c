"""CREATE, DELETE, USE, SET, DEFAULT: making pools, services, limits and caches, and their settings."""

from __future__ import annotations

import re

from wsgistack.balancer.caches import Caches
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import NAME, Line
from wsgistack.balancer.language.replies import Ok, Reply
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.limits import Limits
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.balancer.services import ACTS, Services
from wsgistack.cache.texts import TEXTS
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS", "complete"]

CREATE_USAGE = "usage: CREATE {service|pool} <name>"  # byte for byte Perlbal's, which has no others
OUR_CREATE_USAGE = "usage: CREATE {service|pool|limit|cache} <name>"
USE_USAGE = "usage: USE <service_or_pool_name>"
SET_USAGE = "usage: SET [<service>] <param> = <value>"
DEFAULT_USAGE = "usage: DEFAULT <param> = <value>"
DELETE_USAGE = "usage: DELETE {SERVICE|POOL|LIMIT|CACHE} <name>"
KINDS = ("pool", "service", "limit", "cache")
PARAMETERS = {
    "service": frozenset([*(row.name for row in SERVICE_SETTINGS), *ACTS]),
    "pool": frozenset(row.name for row in POOL_SETTINGS),
    "limit": frozenset(row.name for row in LIMIT_SETTINGS),
    "cache": frozenset(row.name for row in TEXTS),
}
KEY = r"\w[\w.-]*"
SETTING = rf"(?:({NAME})[. ])?({KEY}) ?= ?(.+)"


def create(desk: Desk, line: Line) -> Reply:
    """Make a pool, a service, a limit or a cache; they share one name space."""
    ours = line.rest.lower().startswith(("limit", "cache"))
    found = line.match(rf"(\w+) ({NAME})", OUR_CREATE_USAGE if ours else CREATE_USAGE)
    kind, name = found[1].lower(), found[2].lower()
    if kind not in KINDS:
        raise CommandError(CREATE_USAGE, met=found[1], nearest=find_nearest(kind, KINDS))
    owners: dict[str, Pools | Services | Limits | Caches] = {
        "pool": desk.estate.pools,
        "service": desk.estate.services,
        "limit": desk.estate.limits,
        "cache": desk.estate.caches,
    }
    for owner, names in owners.items():
        if name in names:
            raise CommandError(f"{owner} '{name}' already exists")
    owners[kind].create(name)
    desk.session.last_created = name
    return Ok()


def delete(desk: Desk, line: Line) -> Reply:
    """Take a pool, a limit or a cache that nobody uses, or a service, away."""
    found = line.match(rf"(\w+) ({NAME})", DELETE_USAGE)
    kind, name = found[1].lower(), found[2].lower()
    if kind not in KINDS:
        raise CommandError(DELETE_USAGE, met=found[1], nearest=find_nearest(kind, KINDS))
    services = desk.estate.services.publish().values()
    if kind == "pool":
        desk.estate.pools.check(name)
        _check_unused(kind, name, [service.name for service in services if name in service.pools])
        desk.estate.pools.delete(name)
    elif kind == "limit":
        desk.estate.limits.get(name)
        _check_unused(kind, name, [service.name for service in services if name in service.limits])
        desk.estate.limits.delete(name)
    elif kind == "cache":
        desk.estate.caches.get(name)
        _check_unused(kind, name, [service.name for service in services if service.cache == name])
        desk.estate.caches.delete(name)
    else:
        _delete_service(desk, name)
    if desk.session.last_created == name:
        desk.session.last_created = None
    return Ok()


def _check_unused(kind: str, name: str, users: list[str]) -> None:
    if users:
        raise CommandError(f"{kind} '{name}' is used by service '{min(users)}'", because=name)


def _delete_service(desk: Desk, name: str) -> None:
    service = desk.estate.services.get(name)
    if service.role == "management" and service.enabled and desk.session.source != "file":
        raise CommandError("can't delete management service: take it out of the file and reload")
    desk.estate.services.delete(name)


def complete(line: Line, context: str | None) -> Line:
    """Return *line* so that it means the same without the *context* of its session.

    >>> complete(Line("set", "buffer_size = 64k"), "mysite").rest
    'mysite.buffer_size = 64k'
    """
    found = re.fullmatch(SETTING, line.rest, re.IGNORECASE | re.ASCII)
    if line.word != "set" or found is None or found[1] or not context:
        return line
    return Line(line.word, f"{context}.{line.rest}")


def use(desk: Desk, line: Line) -> Reply:
    """Make a pool, a service, a limit or a cache the one that SET means."""
    name = line.match(rf"({NAME})", USE_USAGE)[1].lower()
    names = _all_names(desk)
    if name not in names:
        text = f"Non-existent pool or service '{name}'"
        raise CommandError(text, met=name, nearest=find_nearest(name, names), because=name)
    desk.session.last_created = name
    return Ok()


def _all_names(desk: Desk) -> list[str]:
    estate = desk.estate
    return [*estate.pools.names(), *estate.services.names(), *estate.limits.names(), *estate.caches.names()]


def set_(desk: Desk, line: Line) -> Reply:
    """Set a parameter of a pool, a service, a limit or a cache."""
    found = line.match(SETTING, SET_USAGE)
    key, text = found[2].lower(), found[3]
    name = (found[1] or desk.session.last_created or "").lower()
    if not name:
        raise CommandError("omitted service/pool name not implied from context", because="")
    if name in desk.estate.services:
        _check_owner(key, name, "service")
        desk.estate.services.set(name, key, text)
    elif name in desk.estate.pools:
        _check_owner(key, name, "pool")
        desk.estate.pools.set(name, key, text)
    elif name in desk.estate.limits:
        _check_owner(key, name, "limit")
        desk.estate.limits.set(name, key, text)
    elif name in desk.estate.caches:
        _check_owner(key, name, "cache")
        desk.estate.caches.set(name, key, text)
    else:
        names = _all_names(desk)
        error = f"service/pool '{name}' does not exist"
        raise CommandError(error, met=found[1], nearest=find_nearest(name, names), because=name)
    return Ok()


def _check_owner(key: str, name: str, owner: str) -> None:
    owners = [kind for kind, keys in PARAMETERS.items() if key in keys]
    if owners and owner not in owners:
        text = f"Unknown {owner} parameter '{key}': '{name}' is a {owner}, {key} belongs to a {owners[0]}"
        raise CommandError(text, because=name)


def default(desk: Desk, line: Line) -> Reply:
    """Set what later services get with their role."""
    found = line.match(rf"({KEY}) ?= ?(.+)", DEFAULT_USAGE)
    desk.estate.services.set_default(found[1].lower(), found[2])
    return Ok()


COMMANDS = (
    Command(
        "create",
        "CREATE {SERVICE|POOL|LIMIT|CACHE} <name>",
        "make a pool, a service, a limit or a page cache, and mean it from now on",
        create,
        example="CREATE POOL images",
        reads=False,
    ),
    Command(
        "delete",
        "DELETE {SERVICE|POOL|LIMIT|CACHE} <name>",
        "take a service, or a pool, limit or cache that no service uses, away",
        delete,
        example="DELETE POOL images",
        reads=False,
    ),
    Command(
        "use",
        "USE <name>",
        "mean this pool, service, limit or cache in SET",
        use,
        example="USE mysite",
        reads=True,
    ),
    Command(
        "set",
        "SET [<name>.]<param> = <value>",
        "set a parameter; help <param> tells about it",
        set_,
        example="SET mysite.buffer_size = 64k",
        reads=False,
    ),
    Command(
        "default",
        "DEFAULT <param> = <value>",
        "set what later services get with their role",
        default,
        example="DEFAULT buffer_size = 64k",
        reads=False,
    ),
)
