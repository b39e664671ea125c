"""load Throttle, throttle reload: what files for Perlbal say of a plugin that is built in here."""

from __future__ import annotations

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Ok, Reply
from wsgistack.errors import CommandError

__all__ = ["COMMANDS"]

LISTS = {"whitelist": "allow_file", "blacklist": "deny_file"}


def load(desk: Desk, line: Line) -> Reply:
    """Take note of a plugin that is part of this balancer; there are no others."""
    name = line.match(r"(\S+)", "usage: load <plugin>")[1]
    if name.lower() != "throttle":
        raise CommandError(f"load: there is no plugin '{name}', Throttle is built in", met=name)
    return Ok()


def throttle(desk: Desk, line: Line) -> Reply:
    """Read a list of the service at hand again; settings hold as soon as they are set."""
    usage = "usage: throttle reload <config|whitelist|blacklist>"
    what = line.match(r"reload (config|whitelist|blacklist)", usage)[1].lower()
    name = (desk.session.last_created or "").lower()
    if name not in desk.estate.services:
        raise CommandError(
            "throttle: no service is at hand, name one by CREATE SERVICE or USE before", because=""
        )
    if what in LISTS:
        desk.estate.lists.reload(desk.estate.services.publish()[name], LISTS[what])
    return Ok()


COMMANDS = (
    Command(
        "load",
        "load throttle",
        "nothing: Perlbal's Throttle is built in, SET <service>.plugins = throttle switches it on",
        load,
        example="load throttle",
        reads=True,
    ),
    Command(
        "throttle",
        "throttle reload {config|whitelist|blacklist}",
        "read allow_file or deny_file of the service at hand again, now",
        throttle,
        example="throttle reload config",
        reads=False,
    ),
)
