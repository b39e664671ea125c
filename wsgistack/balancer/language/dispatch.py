"""From a line to its command: who may give it, and what is said when it means none."""

from __future__ import annotations

import re

from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.commands import COMMANDS
from wsgistack.balancer.language.commands.absent import ABSENT
from wsgistack.balancer.language.grammar import Line, Misfit
from wsgistack.balancer.language.replies import Reply
from wsgistack.errors import CommandError, NotAllowed
from wsgistack.registry import find_nearest

__all__ = ["dispatch"]

PLACEHOLDER = re.compile(r"<[^>]*>")


def dispatch(desk: Desk, line: Line) -> Reply:
    """Do what *line* says and return the reply; raise ConfigurationError to refuse it."""
    command = _find_command(line, may_teach=desk.session.source != "file")
    if desk.session.readonly and not command.reads:
        raise NotAllowed(f"this session is read-only, and '{line.word}' changes something")
    try:
        return command.run(desk, line)
    except Misfit as misfit:
        raise _teach(command, line, misfit) from None


def _find_command(line: Line, *, may_teach: bool) -> Command:
    if line.word in COMMANDS:
        return COMMANDS.get(line.word)
    nearest = find_nearest(line.word, [name for name in COMMANDS.names() if name not in ABSENT])
    meant = COMMANDS.get(nearest) if nearest else _find_action(line.word)
    usage = meant.usage if meant and may_teach else ""
    raise CommandError(f"unknown command: {line.word}", met=line.word, nearest=nearest, usage=usage)


def _find_action(word: str) -> Command | None:
    """Return the only command that takes *word* as it stands, as POOL takes `drain`; None for several."""
    takers = [
        command for command in map(COMMANDS.get, COMMANDS.names()) if word in _fixed_words(command.usage)
    ]
    return takers[0] if len(takers) == 1 else None


def _teach(command: Command, line: Line, misfit: Misfit) -> CommandError:
    """Return the refusal with the word that was probably meant and the command's usage."""
    known = _fixed_words(command.usage)
    for met in line.rest.split():
        nearest = None if met.lower() in known else find_nearest(met.lower(), known)
        if nearest:
            return CommandError(str(misfit), met=met, nearest=nearest, usage=command.usage)
    return CommandError(str(misfit), usage=command.usage)


def _fixed_words(usage: str) -> list[str]:
    """Return the words that a usage wants as they stand, but for the command's own.

    >>> _fixed_words("SHOW {SERVICE|POOL} [<name>]")
    ['service', 'pool']
    """
    return re.findall(r"\w+", PLACEHOLDER.sub("", usage).lower())[1:]
