"""A reload, planned: the file read into a state of its own, and the commands that lead there.

What was changed while the balancer ran is done again on top of the file, unless it is discarded;
a change that does not fit the new file is left out, and told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wsgistack.balancer import configuration
from wsgistack.balancer.blueprint import Blueprint
from wsgistack.balancer.configuration import Problem
from wsgistack.balancer.difference import difference
from wsgistack.balancer.journal import Entry
from wsgistack.balancer.language.replies import Error
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.server_settings import FIXED, OUTLIVES_UPGRADES, SERVER_SETTINGS

__all__ = ["Plan", "plan", "session_of_journal"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reload comes to.

    *problems* of the file; with an error among them nothing is to be done.  *target* is what is
    wanted, *commands* lead there from what runs.  *kept* are the changes that go on counting,
    *refused* those that do not fit any more, each with its reason.
    """

    problems: list[Problem]
    target: Blueprint
    commands: list[str]
    kept: list[Entry]
    refused: list[tuple[Entry, str]]

    @property
    def errors(self) -> list[Problem]:
        """The problems that forbid it."""
        return [problem for problem in self.problems if problem.severity == "error"]


def plan(
    text: str,
    name: str,
    running: Blueprint,
    changes: Sequence[Entry],
    *,
    environment: Mapping[str, str],
    workers: int,
) -> Plan:
    """Return how *running* becomes what *text*, with *changes* on top, says; nothing is changed."""
    loaded = configuration.read(text, name, environment=environment, workers=workers)
    session = session_of_journal()
    kept, refused = [], []
    for entry in changes:
        reply = loaded.control.run(entry.line, session, entry.at)
        if isinstance(reply, Error):
            refused.append((entry, reply.text))
        else:
            kept.append(entry)
    target = loaded.control.blueprint()
    problems = [*loaded.problems]
    for key in FIXED:
        if target.server[key] != running.server[key]:
            wanted, now = (SERVER_SETTINGS.show(key, b.server[key]) for b in (target, running))
            until = "it is started again" if key in OUTLIVES_UPGRADES else "an upgrade"
            text = f"{key} = {wanted}: it is fixed at the start and stays {now} until {until}"
            problems.append(Problem(name, 0, "", text, "warning"))
    fixed = {key: running.server[key] for key in FIXED}
    target = replace(target, server={**target.server, **fixed})
    return Plan(problems, target, difference(running, target), kept, refused)


def session_of_journal() -> Session:
    """Return the session that the lines of a journal are run in: nothing is expanded, nothing said."""
    return Session(source="file", verbose=False, environment=None)
