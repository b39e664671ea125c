"""The control plane: commands and facts go in, immutable versioned snapshots come out.

It is pure: no socket, no clock, no sleep.  Time is an argument (seconds since the epoch), the
world is behind the protocols of outside.py.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, assert_never

from wsgistack.balancer.address_lists import AddressLists
from wsgistack.balancer.blueprint import Blueprint, draw
from wsgistack.balancer.caches import Caches
from wsgistack.balancer.care import Care
from wsgistack.balancer.health import NodeHealth
from wsgistack.balancer.language.command import Desk, Estate
from wsgistack.balancer.language.dispatch import dispatch
from wsgistack.balancer.language.grammar import parse_line
from wsgistack.balancer.language.replies import Error, Reply, Silent
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.ledger import EmptyLedger
from wsgistack.balancer.limits import Limits
from wsgistack.balancer.lookups import Lookup
from wsgistack.balancer.model import (
    Fact,
    HealthCheck,
    ListRead,
    News,
    NodefileRead,
    ProbeResult,
    Resolved,
    Service,
    Snapshot,
)
from wsgistack.balancer.outside import Files, Ledger, Ports, Stats
from wsgistack.balancer.pools import Pools
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.services import Services
from wsgistack.errors import ConfigurationError, NotAllowed

__all__ = ["Check", "Control", "Ports", "Session", "Stats"]


class Check(NamedTuple):
    """A check that probes.py performs; `Control.due` says when."""

    pool: str
    node: str
    check: HealthCheck


class Control:
    """Owns pools, services and health.  Not for several threads at once.

    *workers*: how many there are, or will be when no SERVER line says otherwise.  *started_at*
    in seconds since the epoch.  *sticky_secret* makes the cookies of services that have no secret of
    their own; whoever takes over takes it over, or every client changes its node.  *ledger* is what limits
    are counted in; without one nothing is.  *folder*: see Snapshot.
    """

    def __init__(
        self,
        *,
        ports: Ports,
        stats: Stats,
        files: Files,
        workers: int,
        started_at: float,
        sticky_secret: bytes = b"",
        ledger: Ledger | None = None,
        folder: str = "",
    ) -> None:
        self.sticky_secret = sticky_secret
        self._folder = folder
        pools = Pools(stats, files)
        self._care = Care(pools, stats)
        server = SERVER_SETTINGS.defaults() | {"workers": workers}
        limits = Limits(ledger or EmptyLedger())
        caches = Caches()
        lists = AddressLists(files)
        services = Services(pools, limits, caches, ports, stats, lists, secret=sticky_secret)
        self._estate = Estate(pools, limits, caches, lists, services, server, stats, files, started_at)
        self._snapshot = Snapshot(server=dict(server))
        self._may_differ = False  # something was done since the snapshot was made

    @property
    def snapshot(self) -> Snapshot:
        """What holds now; the same object, and the same version, until something changes."""
        if self._may_differ:
            self._publish()
        return self._snapshot

    def run(self, line: str, session: Session, now: float) -> Reply:
        """Do what one line says and return the reply; a refusal is an Error, nothing is raised.

        Afterwards `snapshot` is a new one if anything that the workers see was changed; it is made
        when it is read, so that a thousand lines of a file cost one.
        """
        try:
            return self.attempt(line, session, now)
        except ConfigurationError as error:
            return Error(str(error), forbidden=isinstance(error, NotAllowed))

    def attempt(self, line: str, session: Session, now: float) -> Reply:
        """Do the same, but raise ConfigurationError (mostly a CommandError) for a refusal."""
        parsed = parse_line(line, session.environment)
        if parsed is None:
            return Silent()
        try:
            return dispatch(Desk(self._estate, session, now), parsed)
        finally:  # afterwards: Ports.open may read the snapshot while the command runs
            self._may_differ = True

    def blueprint(self) -> Blueprint:
        """Return what commands and the file want, without what was observed."""
        return draw(self._estate)

    def export(self) -> dict[str, Any]:
        """Return what was observed as JSON, for a successor."""
        estate = self._estate
        return estate.pools.export() | {"limits": estate.limits.export(), "cells": estate.services.cells()}

    def restore(self, exported: Mapping[str, Any]) -> None:
        """Know again what the balancer before observed; before any command."""
        self._estate.pools.restore(exported)
        self._estate.services.restore_cells(exported.get("cells", {}))

    def restore_names(self, exported: Mapping[str, Any]) -> None:
        """Let names lead where they led; after the commands of the file."""
        self._estate.pools.restore_names(exported)
        self._estate.limits.restore(exported.get("limits", {}))
        self._may_differ = True

    def arrange(self, blueprint: Blueprint) -> None:
        """Put the nodes of each pool into the order that *blueprint* has them in."""
        for name, plan in blueprint.pools.items():
            if name in self._estate.pools:
                self._estate.pools.arrange(name, [str(entry.address) for entry in plan.entries])
        self._may_differ = True

    def absorb(self, fact: Fact, now: float) -> None:
        """Take in what happened; late facts about what is gone are dropped."""
        match fact:
            case ProbeResult():
                changed = self._care.absorb(fact, now)
            case Resolved():
                changed = self._estate.pools.absorb_name(fact, now)
            case NodefileRead():
                changed = self._estate.pools.absorb_nodefile(fact)
            case ListRead():
                changed = self._estate.lists.absorb(fact)
            case _:
                assert_never(fact)
        self._may_differ |= changed

    def checks(self) -> list[Check]:
        """Return the checks of all nodes whose address is known."""
        return [Check(*found) for found in self._care.checks()]

    def due(self, pool: str, node: str, now: float, rng: random.Random) -> float | None:
        """Return in how many seconds that node's check is due, None when there is none."""
        return self._care.due(pool, node, now, rng)

    def is_suspected(self, pool: str, node: str) -> bool:
        """Tell whether that node failed its last check."""
        return self._care.is_suspected(pool, node)

    def health(self, pool: str, node: str) -> NodeHealth:
        """Return what is known of a node in a pool; of an unknown one nothing is."""
        return self._estate.pools.health.get(pool, node)

    def sample(self, now: float) -> None:
        """Look at how requests ended since the last call, and let time pass; call it often."""
        self._may_differ |= self._care.sample(now)

    def is_calm(self, now: float) -> bool:
        """Tell whether nothing happens: nothing to publish, and `sample` may be called less often."""
        return not self._may_differ and self._care.is_calm(now)

    def take_news(self) -> list[News]:
        """Return what the log should tell since the last call, in order."""
        return self._care.take_news()

    def hosts(self) -> list[str]:
        """Return the names to look up; the answers come back as Resolved.

        srv: before a name asks for its SRV records, otherwise its addresses are meant.
        """
        return self._estate.pools.hosts()

    def is_empty(self, pool: str) -> bool:
        """Tell whether a pool has no member, nor a name that may lead to some."""
        return self._estate.pools.is_empty(pool)

    def lookup(self, name: str) -> Lookup:
        """Return what is known of one of these names."""
        return self._estate.pools.lookup(name)

    def nodefiles(self) -> list[str]:
        """Return the paths of the files to watch; what they hold comes back as NodefileRead."""
        return self._estate.pools.nodefiles()

    def address_lists(self) -> list[str]:
        """Return the paths of the lists of networks to watch; what they hold comes back as ListRead."""
        return sorted(self.snapshot.lists)

    def left_out(self) -> dict[str, int]:
        """Return {pool: nodes that are not used because the scoreboard has no room for them}."""
        return self._estate.pools.left_out()

    def service(self, name: str) -> Service:
        """Return a service as it is now, also while Ports.open runs for it."""
        return self._estate.services.get(name)

    @property
    def started_at(self) -> float:
        """When it started, in seconds since the epoch."""
        return self._estate.started_at

    def rows(self) -> dict[str, int]:
        """Return {address: row of the scoreboard} of all that have one, removed nodes too."""
        return self._estate.pools.rows()

    def _publish(self) -> None:
        estate = self._estate
        services = estate.services.publish()
        fresh = Snapshot(
            self._snapshot.version,
            dict(estate.server),
            estate.pools.publish(),
            services,
            estate.limits.publish(),
            estate.caches.publish(),
            self._folder,
            estate.lists.publish(services.values(), estate.services.defaults()),
        )
        if fresh != self._snapshot:
            self._snapshot = replace(fresh, version=fresh.version + 1)
        self._may_differ = False
