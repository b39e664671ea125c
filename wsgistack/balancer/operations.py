"""reload, save, diff and the journal: what runs compared with the file, and brought together with it.

Nothing here waits for workers: whoever calls publishes what changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gevent
from gevent.lock import BoundedSemaphore

from wsgistack.balancer import configuration
from wsgistack.balancer.admin_settings import seal
from wsgistack.balancer.blueprint import Blueprint
from wsgistack.balancer.control import Control
from wsgistack.balancer.difference import difference
from wsgistack.balancer.dump import dump
from wsgistack.balancer.events import Log
from wsgistack.balancer.files import write_atomically
from wsgistack.balancer.journal import Entry, digest
from wsgistack.balancer.journal_file import Journal, JournalError
from wsgistack.balancer.language.commands.objects import complete
from wsgistack.balancer.language.grammar import parse_line
from wsgistack.balancer.language.replies import Error, Lines, Ok, Reply, Task
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.listeners import Listeners
from wsgistack.balancer.reload import Plan, plan, session_of_journal
from wsgistack.errors import ListenError
from wsgistack.files import open_regular

__all__ = ["Operations", "Source"]

LONGEST_FILE_BYTES = 64 * 1024 * 1024
MOST_ROUNDS = 3  # of commands, until what runs is what is wanted
SAVED_HEAD = "# Written by `save`; comments of the file before are in {name}.before.\n"


class Sizes(NamedTuple):
    """What is fixed at the start; *cores* is the number of workers where a file says nothing about it.

    *keeper*: whether a service has a page cache, at the start.
    """

    workers: int
    cores: int
    ready_bytes: int
    limit_keys: int
    keeper: bool = False


@dataclass(slots=True)
class Source:
    """Where the configuration came from: *text* as it was read last; *path* None for no file."""

    name: str
    text: str
    path: str | None = None

    def read(self) -> str:
        """Return the text as it is now; raise OSError or UnicodeDecodeError."""
        if self.path is None:
            return self.text
        return _read(self.path)


def _read(path: str) -> str:
    with open(open_regular(path), encoding="utf-8") as file:
        return file.read(LONGEST_FILE_BYTES)


class Operations:
    """Owns the source and the journal.  *workers*: how many there are when the file says nothing."""

    def __init__(
        self, source: Source, control: Control, listeners: Listeners, log: Log, *, workers: int
    ) -> None:
        self.journal = Journal()
        self._source = source
        self._control = control
        self._listeners = listeners
        self._log = log
        self._workers = workers
        self._known: Blueprint | None = None  # after the last change
        self._writing = BoundedSemaphore(1)

    # At the start.

    def begin(self, handed_over: Sequence[Entry] | None = None) -> None:
        """Do the journal's changes again, on top of the file; raise JournalError.

        *handed_over*: the changes of the balancer before, instead of what stands in the journal.
        """
        path = str(self._control.snapshot.server["journal"])
        if path:
            self.journal = Journal.open(path, self._source.text)
            self._say_trouble()
        if handed_over is not None:
            self.journal.pending = list(handed_over)
        kept = []
        for entry in self.journal.pending:
            reply = self._control.run(entry.line, session_of_journal(), entry.at)
            if isinstance(reply, Error):
                self._log.warn("journal_refused", line=entry.line, peer=entry.peer, error=reply.text)
            else:
                kept.append(entry)
        self.journal.pending = kept
        if kept:
            self._log.info("journal_replayed", changes=len(kept))
        self._known = self._control.blueprint()

    def _say_trouble(self) -> None:
        for number, line in self.journal.problems:
            self._log.warn("journal_line", at=f"{self.journal.path}:{number}", line=line)
        if self.journal.torn:
            self._log.warn(
                "journal_torn", file=self.journal.path, cut=self.journal.torn.decode("utf-8", "replace")
            )

    # After each command.

    def note(self, line: str, session: Session) -> str:
        """Journal *line* if it changed what is wanted; return what went wrong with that, or ""."""
        now = self._control.blueprint()
        if now == self._known:
            return ""
        self._known = now
        parsed = parse_line(line, None)
        assert parsed is not None  # it did something
        whole = complete(parsed, session.last_created)
        done = seal(f"{whole.word.upper()} {whole.rest}")
        self.journal.add(Entry(time.time(), session.peer or "-", done))
        try:
            self._write(self.journal.write)
        except JournalError as error:
            self._log.error("journal_failed", error=error)
            return f"done, but it will not outlive a restart: {error}"
        self._shorten()
        return ""

    def _shorten(self) -> None:
        """Replace the changes in a long journal by the fewest commands that mean the same."""
        if not self.journal.is_long:
            return
        now = self._control.blueprint()
        text = self._source.text
        bare = self._plan(text, [])
        fewest = [Entry(time.time(), "shortened", line) for line in difference(bare.target, now)]
        if bare.errors or self._plan(text, fewest).commands:
            self._log.warn("journal_long", file=self.journal.path)
            return
        changes = len(self.journal.pending)
        try:
            self._write(self.journal.shorten, fewest)
        except JournalError as error:
            self._log.error("journal_failed", error=error)
            return
        self._log.info("journal_shortened", file=self.journal.path, changes=changes, left=len(fewest))

    def _write(self, write: object, *arguments: object) -> None:
        """Write in a thread: a disk takes its time to sync, and the others have theirs."""
        with self._writing:
            gevent.get_hub().threadpool.apply(write, arguments)

    # Tasks.

    def perform(self, task: Task, session: Session) -> Reply:
        """Do a task and return what to say."""
        match task.what:
            case "reload":
                return self.reload(task.argument)
            case "diff":
                return self.diff()
            case "save":
                return self.save(task.argument, session)
            case _:
                raise ValueError(task.what)

    def diff(self) -> Reply:
        """Return the commands from the file's state to the running one."""
        text = self._read()
        if isinstance(text, Error):
            return text
        planned = self._plan(text, [])
        if planned.errors:
            return self._refuse(planned)
        return Lines(tuple(difference(planned.target, self._control.blueprint())))

    def reload(self, mode: str) -> Reply:
        """Do what differs between the file, with the changes since, and what runs.

        *mode*: "check" only shows it, "discard" forgets the changes.
        """
        text = self._read()
        if isinstance(text, Error):
            return text
        planned = self._plan(text, [] if mode == "discard" else self.journal.pending)
        if planned.errors:
            return self._refuse(planned)
        if mode == "check":
            return Lines((*self._remarks(planned), *planned.commands))
        problem = self._reserve(planned.target) or self._do(planned)
        self._listeners.drop_spare()
        if problem:
            self._log.error("reload_refused", error=problem)
            return Error(f"{problem}; nothing was changed")
        self._settle(planned, text, discard=mode == "discard")
        return Lines((*self._remarks(planned), *planned.commands), end="OK")

    def _read(self) -> str | Error:
        try:
            return self._source.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
            self._log.error("reload_refused", file=self._source.name, error=reason)
            return Error(f"{self._source.name}: {reason}; nothing was changed")

    def _plan(self, text: str, changes: Sequence[Entry]) -> Plan:
        environment: Mapping[str, str] = os.environ
        return plan(
            text,
            self._source.name,
            self._control.blueprint(),
            changes,
            environment=environment,
            workers=self._workers,
        )

    def _refuse(self, planned: Plan) -> Reply:
        lines = []
        for problem in planned.problems:
            self._log.warn("reload_problem", at=f"{problem.file}:{problem.number}", error=problem.message)
            lines += str(problem).split("\n")
        count = len(planned.errors)
        self._log.error("reload_refused", file=self._source.name, errors=count)
        what = "1 error" if count == 1 else f"{count} errors"
        return Lines(tuple(lines), end=f"ERROR: {what} in {self._source.name}; nothing was changed")

    def _remarks(self, planned: Plan) -> list[str]:
        """Return what an operator wants to know, as comments."""
        lines = [f"# {line.strip()}" for problem in planned.problems for line in str(problem).split("\n")]
        lines += [f"# left out: {entry.line}: {reason}" for entry, reason in planned.refused]
        return lines

    def _reserve(self, target: Blueprint) -> str:
        """Bind what has to be opened, before anything is changed; return what cannot be."""
        running = self._control.blueprint().services.values()
        open_now = {address for s in running if s.enabled for address in s.listen}
        problems = []
        for name, service in target.services.items():
            for address in service.listen if service.enabled else ():
                if address in open_now:
                    continue
                try:
                    self._listeners.reserve(address, service)
                except ListenError as error:
                    problems.append(f"Can't start service '{name}' on {address}: {error}")
        return "; ".join(problems)

    def _do(self, planned: Plan) -> str:
        """Run the commands; when one is refused, undo those before it and return why."""
        before = self._control.blueprint()
        problem = self._become(planned.target)
        if problem:
            self._become(before)
            return problem
        self._control.arrange(planned.target)
        return ""

    def _become(self, target: Blueprint) -> str:
        session = session_of_journal()
        for _ in range(MOST_ROUNDS):
            commands = difference(self._control.blueprint(), target)
            if not commands:
                return ""
            for line in commands:
                reply = self._control.run(line, session, time.time())
                if isinstance(reply, Error):
                    return f"{line}: {reply.text}"
        return f"{commands[0]}: it has no effect"

    def _settle(self, planned: Plan, text: str, *, discard: bool) -> None:
        self._source.text = text
        self._known = self._control.blueprint()
        for entry, reason in planned.refused:
            self._log.warn("journal_refused", line=entry.line, peer=entry.peer, error=reason)
        for problem in planned.problems:
            self._log.warn("reload_problem", at=f"{problem.file}:{problem.number}", error=problem.message)
        self._log.info("reloaded", file=self._source.name, commands=len(planned.commands))
        self.journal.pending = planned.kept
        if discard:
            try:
                self._write(self.journal.mark_saved, Entry(time.time(), "reload", ""))
            except JournalError as error:
                self._log.error("journal_failed", error=error)
        self._shorten()

    # Saving.

    def save(self, path: str, session: Session) -> Reply:
        """Write what is wanted as a configuration that can be replayed."""
        own = self._source.path
        is_own = not path or (own is not None and os.path.realpath(path) == os.path.realpath(own))
        if own is None and not path:
            return Error("it was started without a file: save FILE")
        target = own if is_own and own is not None else path
        text = "\n".join([SAVED_HEAD.format(name=os.path.basename(target)), *dump(self._control.blueprint())])
        problem = self._find_objection(target, is_own=is_own)
        if problem:
            return Error(f"{problem}; nothing was written")
        entry = Entry(time.time(), session.peer or "-", "")
        try:
            if is_own:
                self._write(self._replace_own, target, text, entry)
                self._source.text = text
                self._shorten()
            else:
                self._write(write_atomically, target, text)
        except JournalError as error:
            return Error(f"{error}; nothing was written")
        except OSError as error:
            return Error(f"{target}: {error.strerror or error}; nothing was written")
        self._log.info("saved", file=target)
        return Ok()

    def _find_objection(self, path: str, *, is_own: bool) -> str:
        """Return why a file must not be replaced, "" if it may be."""
        try:
            text = _read(path)
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            return f"{path}: {error.strerror if isinstance(error, OSError) else 'no configuration'}"
        if is_own and digest(text) != digest(self._source.text):
            return f"{path} was changed since it was read: reload first, or save to another file"
        if not is_own and text.strip() and _has_errors(text, path):
            return f"{path} is there and is no configuration"
        return ""

    def _replace_own(self, path: str, text: str, entry: Entry) -> None:
        """Replace the configuration file; runs in a thread.  The file before is kept beside it."""
        self.journal.mark_saving(entry, text)
        if os.path.exists(path):
            write_atomically(f"{path}.before", self._source.text)
        write_atomically(path, text)
        self.journal.mark_saved(entry)


def _has_errors(text: str, name: str) -> bool:
    problems = configuration.load(text, name, environment=os.environ)
    return any(problem.severity == "error" for problem in problems)
