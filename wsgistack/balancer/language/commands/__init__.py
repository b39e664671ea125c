"""The commands, a family: each file here offers some, as COMMANDS; what it offers is known."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from wsgistack.balancer.language.command import Command
from wsgistack.registry import Family

__all__ = ["COMMANDS"]


def _parts(module: ModuleType) -> Iterable[tuple[str, Command]]:
    return [(command.word, command) for command in module.COMMANDS]


COMMANDS: Family[Command] = Family("command", __name__, _parts)
