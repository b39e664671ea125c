"""help: the commands, one of them, or a parameter of SET."""

from __future__ import annotations

from collections.abc import Iterator

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.commands import COMMANDS as ALL
from wsgistack.balancer.language.commands.absent import ABSENT
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Lines, Reply
from wsgistack.balancer.limit_settings import LIMIT_SETTINGS
from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.cache.texts import TEXTS
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest
from wsgistack.settings import Setting, Table

__all__ = ["COMMANDS"]

TABLES = (SERVICE_SETTINGS, POOL_SETTINGS, LIMIT_SETTINGS, TEXTS, SERVER_SETTINGS)
SET = {"service": "SET", "pool": "SET", "limit": "SET", "cache": "SET", "server": "SERVER"}


def help_(desk: Desk, line: Line) -> Reply:
    """List the commands, or tell about one command or parameter."""
    if not line.rest:
        return Lines(tuple(name for name in ALL.names() if name not in ABSENT))
    word = line.match(r"([\w.-]+)")[1].lower()
    lines = [*_about_command(word), *_about_setting(word)]
    if not lines:
        present = (name for name in ALL.names() if name not in ABSENT)
        known = [*present, *(row.name for table in TABLES for row in table)]
        raise CommandError(f"unknown command: {word}", met=word, nearest=find_nearest(word, known))
    return Lines(tuple(lines))


def _about_command(word: str) -> Iterator[str]:
    if word not in ALL:
        return
    command = ALL.get(word)
    yield f"{command.usage}: {command.help}"
    if command.example:
        yield f"example: {command.example}"
    if word == "set":
        yield f"of a service: role, listen, pool, limit, cache, {_names(SERVICE_SETTINGS)}"
        yield f"of a pool: {_names(POOL_SETTINGS)}"
        yield f"of a limit: {_names(LIMIT_SETTINGS)}"
        yield f"of a cache: {_names(TEXTS)}"
    if word == "server":
        yield f"parameters: {_names(SERVER_SETTINGS)}"
    if word == "default":
        yield f"parameters: {_names(SERVICE_SETTINGS)}"


def _about_setting(word: str) -> Iterator[str]:
    for table in TABLES:
        if word in table:
            row = table.get(word)
            yield f"{SET[table.owner]} {row.name} = <{row.kind.name}>: {row.help}{_default_of(row)}"


def _default_of(row: Setting) -> str:
    if not row.available:
        return "; not available yet"
    return "" if row.sets else f"; default {row.kind.show(row.default)}"


def _names(table: Table) -> str:
    return ", ".join(row.name for row in table if row.available)


COMMANDS = (
    Command(
        "help",
        "help [<command or parameter>]",
        "the commands, or one of them",
        help_,
        example="help pool",
        reads=True,
    ),
)
