"""The commands of operators: python -m wsgistack.ratelimit ban|unban|bans|show|reset.

They load the site's application, as its server does, and speak with the limits that it shares: a
store, or with `--master` the memory of a server's workers.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from wsgistack.errors import ConfigurationError
from wsgistack.ratelimit import RateLimit
from wsgistack.ratelimit.shut import ANY
from wsgistack.ratelimit.usage import show_key

__all__ = ["add_commands", "find_limits", "load"]

MOST_LAYERS = 100


def add_commands(commands: Any) -> None:
    """Add them to a parser's *commands*; each sets `run`, which returns what to print."""
    for name, (text, run, takes) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if "who" in takes:
            command.add_argument("who", metavar="WHO", help="an address, a network, '*', or a hash")
            command.add_argument("--rule", default=ANY, help="under this rule; every one without it")
        if "length" in takes:
            command.add_argument("--for", dest="length", default="1 hour", help="how long (1 hour)")
        command.add_argument("--app", required=True, metavar="MODULE:NAME", help="the site's application")
        command.add_argument("--layer", type=int, default=1, help="which RateLimit, from the outside in (1)")
        command.add_argument("--master", type=int, metavar="PID", help="the parent of a server's workers")
        command.set_defaults(run=run)


def load(name: str) -> object:
    """Return the object that `module:name` means; ConfigurationError for what is none."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigurationError(f"--app: {name!r} is not like mysite.wsgi:application")
    try:
        found: object = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"--app: {name}: {error}") from None
    return found


def find_limits(application: object) -> list[RateLimit]:
    """Return every RateLimit of an application, from the outside in: in a stack, or one around the other."""
    found: list[RateLimit] = []
    for _ in range(MOST_LAYERS):
        layers = getattr(application, "layers", ())
        found += [layer for _, layer in layers if isinstance(layer, RateLimit)]
        if isinstance(application, RateLimit):
            found.append(application)
        application = getattr(application, "app", None)
        if application is None:
            break
    return found


def _open(options: argparse.Namespace) -> RateLimit:
    if options.master is not None:
        try:
            os.chdir(f"/proc/{options.master}/cwd")  # limits of workers are known by it too
        except OSError as error:
            raise ConfigurationError(f"--master: {options.master}: {error.strerror}") from None
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as servers do
    found = find_limits(load(options.app))
    if not 1 <= options.layer <= len(found):
        raise ConfigurationError(
            f"--app: {options.app} has {len(found)} RateLimit, and none is number {options.layer}"
        )
    limits: RateLimit = found[options.layer - 1]
    if options.master is not None:
        limits.join_workers(options.master)
    elif not limits.is_shared:
        text = "these limits have no store, so nobody reaches those of another process"
        raise ConfigurationError(
            f"{options.app}: {text}; --master PID names the parent of a server's workers"
        )
    return limits


def _ban(options: argparse.Namespace) -> str:
    _open(options).operator.ban(options.who, options.length, rule=options.rule)
    return "banned\n"


def _unban(options: argparse.Namespace) -> str:
    found = _open(options).operator.unban(options.who, rule=options.rule)
    return "let in again\n" if found else "was not banned\n"


def _bans(options: argparse.Namespace) -> str:
    def show(until_us: int) -> str:
        return datetime.fromtimestamp(until_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    bans = _open(options).operator.bans()
    return "".join([f"{one.rule} {show_key(one.key)} until {show(one.until)}\n" for one in bans])


def _show(options: argparse.Namespace) -> str:
    lines = _open(options).operator.show(options.who, rule=options.rule)
    return "".join([f"{line}\n" for line in lines])


def _reset(options: argparse.Namespace) -> str:
    found = _open(options).operator.reset(options.who, rule=options.rule)
    return "forgotten\n" if found else "there was nothing to forget\n"


Run = Callable[[argparse.Namespace], str]
COMMANDS: dict[str, tuple[str, Run, tuple[str, ...]]] = {
    "ban": ("shut a client out", _ban, ("who", "length")),
    "unban": ("let a client in again", _unban, ("who",)),
    "bans": ("who is shut out by operators", _bans, ()),
    "show": ("what the limits leave a client", _show, ("who",)),
    "reset": ("forget what a client used", _reset, ("who",)),
}
