"""One line of the language: comments, variables, the command word and the rest.

As Perlbal: everything from the first `#` is dropped, white space is trimmed and squeezed, names
are case-insensitive.  Unlike it, values keep their case, a name may hold `-`, and variables are
expanded in a file only: on the port they would tell anybody what is in our environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wsgistack.errors import CommandError

__all__ = ["NAME", "Line", "Misfit", "parse_line"]

NAME = r"(?:\w[\w-]{0,62})"  # 63 characters: the room that the plane has
VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_]\w*))", re.ASCII)


class Misfit(CommandError):
    """What follows a command's word does not fit the command's usage."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command: its first word in lower case, and what follows, squeezed, in its own case."""

    word: str
    rest: str

    def match(self, pattern: str, usage: str | None = None) -> re.Match[str]:
        """Return the match of all of `rest`, in any case.

        Raises CommandError with the text *usage*, without one Misfit: then the command's usage is
        said.
        """
        found = re.fullmatch(pattern, self.rest, re.IGNORECASE | re.ASCII)
        if found is None and usage is not None:
            raise CommandError(usage)
        if found is None:
            raise Misfit(f"Invalid syntax to '{self.word}' command")
        return found

    def take_nothing(self) -> None:
        """Raise CommandError when anything follows the command's word."""
        if self.rest:
            raise CommandError(f"The '{self.word}' command takes no arguments")


def parse_line(text: str, environment: Mapping[str, str] | None) -> Line | None:
    """Return the command of one line, None for a blank one.

    *environment* is where `$NAME` and `${NAME}` are looked up; None refuses them.
    """
    text = " ".join(text.partition("#")[0].split())
    text = " ".join(_expand(text, environment).split())
    if not text:
        return None
    found = re.match(r"\w+", text, re.ASCII)
    if not found:
        raise CommandError("invalid command")
    return Line(found[0].lower(), text[found.end() :].strip())


def _expand(text: str, environment: Mapping[str, str] | None) -> str:
    def value(found: re.Match[str]) -> str:
        if environment is None:
            raise CommandError(f"{found[0]}: variables are expanded in a configuration file only")
        name = found[1] or found[2] or ""
        if name not in environment:
            raise CommandError(f"{found[0]}: there is no such environment variable")
        if not re.fullmatch(r"[^#$\x00-\x1f\x7f]*", environment[name]):
            raise CommandError(f"{found[0]}: its value holds '#', '$' or a control character")
        return environment[name]

    return VARIABLE.sub(value, text)
