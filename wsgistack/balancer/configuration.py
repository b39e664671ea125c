"""A configuration file, checked as a whole before anything is started.

Every line runs against a scratch control plane without ports.  A misspelt word is reported and
then read as its nearest valid one, and what rests on a line that failed is passed over, so that
one mistake makes one problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from wsgistack.balancer.control import Control
from wsgistack.balancer.files import Disk
from wsgistack.balancer.language.grammar import NAME
from wsgistack.balancer.language.replies import Error, Quit, Shutdown, Task
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.model import Service, Snapshot
from wsgistack.balancer.outside import NodeCounts, Outcomes, ProcessCounts
from wsgistack.errors import CommandError, ConfigurationError, UnknownName
from wsgistack.settings import Value

__all__ = ["Loaded", "Problem", "apply", "load", "read"]

MOST_MENDED_WORDS = 3  # of one line
NOTHING = "No services or management port configured.  Nothing to do."


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; *number* is 0 for what is wrong with the whole file.

    A file with an error is not started; a warning is only said.
    """

    file: str
    number: int
    line: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Return `conf/site.conf:12: SET lisen = 80` and the message below it."""
        message = self.message if self.severity == "error" else f"warning: {self.message}"
        if not self.number:
            return f"{self.file}: {message}"
        return f"{self.file}:{self.number}: {self.line}\n    {message}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file means: its problems in the order of its lines, and the snapshot it would make.

    *control* is the scratch control plane that read it.
    """

    problems: list[Problem]
    snapshot: Snapshot
    control: Control


def load(text: str, name: str, *, environment: Mapping[str, str] | None = None) -> list[Problem]:
    """Return all problems of a file; *name* is what they call it.

    *environment* is where `$NAME` is looked up.  No port is opened, nothing is changed.
    """
    return read(text, name, environment=environment).problems


def read(text: str, name: str, *, environment: Mapping[str, str] | None = None, workers: int = 1) -> Loaded:
    """Return a file's problems and its snapshot; *workers* holds where the file says nothing."""
    reader = _Reader(name, environment or {}, workers)
    for number, line in enumerate(text.split("\n"), start=1):
        reader.take(number, line.strip())
    reader.problems += sorted(reader.check_whole(), key=lambda problem: problem.number)
    return Loaded(reader.problems, reader.control.snapshot, reader.control)


def apply(text: str, name: str, *, control: Control, session: Session, now: float) -> Problem | None:
    """Run a checked file against the real control plane; return the first refusal, or None.

    What can still fail is what the system has a say in, such as a port that is taken.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        reply = control.run(line, session, now)
        if isinstance(reply, Error):
            return Problem(name, number, line.strip(), reply.text)
    return None


class _OnlyRead(Disk):
    """The files of a configuration that is looked at, maybe far from where its log will be."""

    def check_log(self, path: str) -> None:
        """Refuse nothing."""

    def check_folder(self, path: str) -> None:
        """Refuse nothing, and make none."""


@dataclass(slots=True)
class _Reader:
    file: str
    environment: Mapping[str, str]
    workers: int
    problems: list[Problem] = field(default_factory=list)
    # Names whose lines failed: what follows from that is no problem of its own.  "" is the
    # context, what SET means without a name.
    broken: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)  # names on any failed line
    made_at: dict[str, tuple[int, str]] = field(default_factory=dict)
    control: Control = field(init=False)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.control = Control(
            ports=_NoPorts(), stats=_NoStats(), files=_OnlyRead(), workers=self.workers, started_at=0.0
        )
        self.session = Session.of_file(self.environment)

    def take(self, number: int, line: str) -> None:
        """Run one line; report what is wrong with it and go on as if it were not."""
        text = line
        for _ in range(MOST_MENDED_WORDS):
            error = self._attempt(number, line, text)
            if error is None:
                return
            if isinstance(error, CommandError) and error.because in self.broken:
                return
            self._report(number, line, str(error))
            mended = _mend(text, error)
            if mended is None:
                return self._give_up(text, error)
            text = mended

    def _attempt(self, number: int, line: str, text: str) -> ConfigurationError | None:
        try:
            reply = self.control.attempt(text, self.session, 0.0)
        except ConfigurationError as error:
            return error
        if isinstance(reply, Error):
            return CommandError(reply.text)
        if isinstance(reply, Quit | Shutdown | Task):
            return CommandError("this command has no place in a file")
        if made := re.match(rf"(create) \w+ ({NAME})|(use) ", _squeeze(text)):
            self.broken.discard("")
            if made[1]:
                self.made_at[made[2]] = (number, line)
        return None

    def _report(self, number: int, line: str, message: str) -> None:
        self.problems.append(Problem(self.file, number, line, message))
        self.doubtful.update(re.findall(NAME, line.lower()))
        if re.match("set ", line, re.IGNORECASE):
            self.doubtful.add(self.session.last_created or "")

    def _give_up(self, text: str, error: ConfigurationError) -> None:
        if isinstance(error, CommandError) and error.because:
            self.broken.add(error.because)  # that it is missing is told once
        text = _squeeze(text)
        words = re.findall(NAME, text)
        if words[:1] in (["create"], ["use"]):
            self.session.last_created = None
            self.broken.update(words[1:], {""})
        elif role := re.match(rf"set (?:({NAME})[. ])?role ?=", text):
            self.broken.add(role[1] or self.session.last_created or "")

    def check_whole(self) -> Iterator[Problem]:
        """Return what is wrong with the file as a whole, of names that had no trouble before."""
        snapshot = self.control.snapshot
        for name in snapshot.pools:
            if self.control.is_empty(name):
                yield from self._warn(name, f"pool '{name}' has no nodes")
        for name, service in snapshot.services.items():
            for message in _doubts(service, list(snapshot.services.values())):
                yield from self._warn(name, message)
        if not self.problems and not any(s.enabled and s.listen for s in snapshot.services.values()):
            yield Problem(self.file, 0, "", NOTHING)

    def _warn(self, name: str, message: str) -> Iterator[Problem]:
        if name not in self.doubtful:
            number, line = self.made_at.get(name, (0, ""))
            yield Problem(self.file, number, line, message, "warning")


def _squeeze(text: str) -> str:
    return " ".join(text.partition("#")[0].split()).lower()


def _mend(text: str, error: ConfigurationError) -> str | None:
    """Return *text* with the misspelt word replaced by the nearest valid one, None without one.

    What looks like a CREATE is read as one, however its first word is written: the lines below
    it would all be misread otherwise.
    """
    made = re.fullmatch(rf"\S+ ((?:pool|service|limit|cache) {NAME})", _squeeze(text))
    if made and not re.match("create ", _squeeze(text)):
        return f"create {made[1]}"
    if not isinstance(error, CommandError | UnknownName) or not error.nearest or not error.met:
        return None
    word = rf"(?<![\w-]){re.escape(error.met)}(?![\w-])"
    mended, times = re.subn(word, error.nearest, text, count=1, flags=re.IGNORECASE)
    return mended if times else None


def _doubts(service: Service, services: list[Service]) -> Iterator[str]:
    if not service.enabled:
        yield f"service '{service.name}' is never enabled"
    elif not service.listen:
        yield f"service '{service.name}' listens nowhere"
    if service.enabled and service.role == "reverse_proxy" and service.pool is None:
        yield f"service '{service.name}' has no pool: it will answer 503"
    for other in services:
        shared = [address for address in service.listen if address in other.listen]
        if shared and other.slot < service.slot:
            yield f"services '{other.name}' and '{service.name}' both listen on {shared[0]}"


class _NoPorts:
    def open(self, service: str, address: str) -> None:
        """Open nothing: the file is only read."""

    def check(self, role: str | None, settings: Mapping[str, Value]) -> None:
        """Look at nothing."""

    def close(self, service: str, address: str) -> None:
        """Close nothing."""


class _NoStats:
    def node(self, slot: int) -> NodeCounts:
        return NodeCounts(
            handed=0,
            attempts=0,
            connects=0,
            verifies=0,
            requests=0,
            failures=0,
            in_flight=0,
            open=0,
            lastattempt=0.0,
            lastconnect=0.0,
            lastresponse=0.0,
            responsecodes={},
        )

    def buckets(self, slot: int) -> tuple[list[int], int]:
        return [], 0

    def learned(self, service: str, cookie: str, ttl_s: float) -> int:
        return 0

    def outcomes(self, slots: Iterable[int]) -> list[Outcomes]:
        return [Outcomes() for _ in slots]

    def reset_node(self, slot: int) -> None:
        """Reset nothing."""

    def reset_service(self, slot: int) -> None:
        """Reset nothing."""

    def proc(self) -> ProcessCounts:
        return ProcessCounts(pid=0, utime=0.0, stime=0.0, reqs=0)
