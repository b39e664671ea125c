"""What a command answers: a closed set, and its bytes on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

__all__ = [
    "Ask",
    "Error",
    "Lines",
    "Ok",
    "Order",
    "Quit",
    "Reply",
    "Row",
    "Shutdown",
    "Silent",
    "Task",
    "encode",
    "lines_of",
]

Row = dict[str, Any]  # one row of Plane.inspect, as JSON carries it


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing: a blank line or a comment."""


@dataclass(frozen=True, slots=True)
class Ok:
    """Done; said only to a verbose session."""


@dataclass(frozen=True, slots=True)
class Error:
    """Refused, and nothing was changed.  *forbidden*: another session might have been obeyed."""

    text: str
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A listing, closed by a line of its own ("." nearly always); *end* may be empty."""

    lines: tuple[str, ...]
    end: str = "."


@dataclass(frozen=True, slots=True)
class Ask:
    """The workers must be asked: every worker's `inspect(question)`, then `answer(rows)`.

    rows has one list per worker that answered; the admin port may add one of its own (rows of
    kind "manage").
    """

    question: str
    render: Callable[[list[list[Row]]], list[str]]

    def answer(self, rows: list[list[Row]]) -> Lines:
        """Return the reply that the workers' rows make."""
        return Lines(tuple(self.render(rows)))


@dataclass(frozen=True, slots=True)
class Quit:
    """Close this connection."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop the balancer: at once, or gracefully and after *after_s* seconds in any case."""

    graceful: bool
    after_s: float | None


@dataclass(frozen=True, slots=True)
class Task:
    """Work beyond the control plane, with files or processes; whoever runs the command does it.

    *argument*: of `reload` "", "check" or "discard"; of `save` the file, "" for the usual one.
    """

    what: Literal["reload", "save", "diff", "upgrade"]
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """Something for the keeper of the page caches: *action* on *caches*, and what it is about.

    *reads*: it answers with lines, else it is done before OK is said.
    """

    caches: tuple[str, ...]
    action: str
    argument: str
    reads: bool


Reply = Silent | Ok | Error | Lines | Ask | Quit | Shutdown | Task | Order


def encode(reply: Reply, *, verbose: bool) -> bytes:
    """Return the reply's bytes; each line ends in CRLF.  An Ask has none, its answer has."""
    return b"".join(_clean(line).encode("utf-8", "replace") + b"\r\n" for line in _lines(reply, verbose))


def lines_of(reply: Reply) -> list[str]:
    """Return what a reply lists, without the words that say that it is done."""
    return [_clean(line) for line in reply.lines] if isinstance(reply, Lines) else []


def _lines(reply: Reply, verbose: bool) -> list[str]:
    match reply:
        case Silent() | Quit():
            return []
        case Ok():
            return ["OK"] if verbose else []
        case Shutdown(graceful=graceful):
            return ["OK"] if verbose and graceful else []
        case Error(text=text):
            return [f"ERROR: {text}"]
        case Lines(lines=lines, end=end):
            return [*lines, end] if end else list(lines)
        case Ask() | Task() | Order():
            raise TypeError(f"{type(reply).__name__}: whoever ran the command has to make a reply of it")
        case _:
            assert_never(reply)


def _clean(line: str) -> str:
    # An echoed word may hold anything; a control character must not reach the reader's terminal.
    return "".join(c if c.isprintable() else "?" for c in line)
