"""Faults of a ring, as somebody might make them: what the stories must find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest

from wsgistack.store.memcached import tags
from wsgistack.store.memcached.cluster import Cluster, Snapshot, Target
from wsgistack.store.memcached.flights import Flights
from wsgistack.store.memcached.journal import Journal, Load
from wsgistack.store.memcached.near import Near
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.past import Past
from wsgistack.store.memcached.prober import Prober

__all__ = ["FAULTS"]

Patch = pytest.MonkeyPatch


def _pay_no_debts(patch: Patch) -> None:
    """A node that returns is used as it is."""
    patch.setattr(Journal, "take", lambda self, most: (self._keys.clear(), Load(False, []))[1])
    patch.setattr(Journal, "settle", lambda self, load: None)


def _leave_copies(patch: Patch) -> None:
    """What stood in keeps its copies when the node returns."""
    take = Journal.take_copies

    def forget(self: Journal) -> Any:
        take(self)
        return [], set()

    patch.setattr(Journal, "take_copies", forget)


def _skip_the_first_fallback(patch: Patch) -> None:
    """A write that goes to another stand-in than the last one tells that one nothing."""
    patch.setattr(Journal, "copies_of", lambda self, key: ())
    patch.setattr(Cluster, "_pass", lambda self, snapshot, key, owner, stand_in: None)


def _forget_the_past(patch: Patch) -> None:
    """A change of nodes leaves everything as it lies."""
    patch.setattr(Past, "then", lambda self, ring, names: self)


def _forget_the_debts_of_who_left(patch: Patch) -> None:
    """Copies are not looked after when the ring changes."""
    patch.setattr(Cluster, "_disown_copies", lambda self, old, new: None)


def _skip_tags_of_nodes_away(patch: Patch) -> None:
    """A tag whose node is away is not removed, and nothing is noted."""
    count = tags.Tags._count

    def skip(self: tags.Tags, names: Any, by: int) -> dict[str, int | None]:
        cluster = self._do.cluster
        there = [
            name
            for name, wire in zip(names, self.wire(names), strict=True)
            if not by or cluster.snapshot.owner(wire).may_read
        ]
        return {**dict.fromkeys(names, 1), **count(self, there, by)} if there else dict.fromkeys(names, 1)

    patch.setattr(tags.Tags, "_count", skip)


def _do_not_tell_near(patch: Patch) -> None:
    """What is kept near is not told of writes."""

    def nothing(self: Near, keys: Iterable[bytes]) -> None: ...

    patch.setattr(Near, "forget", nothing)


def _read_while_it_returns(patch: Patch) -> None:
    """A node is read as soon as it answers."""

    def begin(self: Node) -> Any:
        with self.lock:
            self.may_write = self.may_read = True
            return [], set()

    patch.setattr(Node, "begin_return", begin)


def _drop_without_a_word(patch: Patch) -> None:
    """A write that goes past a node is not noted there."""
    patch.setattr(Node, "divert", lambda self, keys, copies_on=None: not self.may_write)


def _believe_what_is_dirty(patch: Patch) -> None:
    """A node in use is asked for what is still to be removed from it."""

    def believe(
        self: Cluster, snapshot: Snapshot, key: bytes, node: Node, *, keeps: bool, since: float = 0.0
    ) -> bool:
        return True

    patch.setattr(Cluster, "_is_rid", believe)


def _leave_late_writes(patch: Patch) -> None:
    """What arrives where the key was looked for before, and is not any more, stays there."""
    patch.setattr(Cluster, "check_late", lambda self, snapshot, key, target: None)


def _leave_late_writes_of_stand_ins(patch: Patch) -> None:
    """A stand-in that was written to keeps it, whatever became of the ring meanwhile."""
    check_late = Cluster.check_late

    def check(self: Cluster, snapshot: Snapshot, key: bytes, target: Target) -> None:
        if not target.is_stand_in or self.snapshot is snapshot:
            check_late(self, snapshot, key, target)

    patch.setattr(Cluster, "check_late", check)


def _forget_who_returned(patch: Patch) -> None:
    """A stand-in that was written to keeps it, though its owner came back before."""
    check_late = Cluster.check_late

    def check(self: Cluster, snapshot: Snapshot, key: bytes, target: Target) -> None:
        check_late(self, snapshot, key, Target(target.node, target.is_stand_in))

    patch.setattr(Cluster, "check_late", check)


def _wait_for_nothing(patch: Patch) -> None:
    """A node returns while it may still be sent what was given up."""
    patch.setattr(Prober, "_has_seen_off", lambda self, node: True)


def _note_no_lost_call(patch: Patch) -> None:
    """What a call whose answer is lost has changed is not noted."""
    broke = Node.broke

    def forget(self: Node, failure: str, lost: Iterable[Any], leaving: Any = None) -> None:
        broke(self, failure, (), leaving)

    patch.setattr(Node, "broke", forget)


def _believe_former_stand_ins(patch: Patch) -> None:
    """Who stands in again is believed what another process wrote there the first time."""
    is_rid = Cluster._is_rid

    def believe(
        self: Cluster, snapshot: Snapshot, key: bytes, node: Node, *, keeps: bool, since: float = 0.0
    ) -> bool:
        return is_rid(self, snapshot, key, node, keeps=keeps)

    patch.setattr(Cluster, "_is_rid", believe)


def _join_what_is_outdated(patch: Patch) -> None:
    """Who asks behind an invalidation of his own process is given what was begun before it."""
    patch.setattr(Flights, "part", lambda self, key: None)
    patch.setattr(Flights, "part_tags", lambda self, tags: None)


STOP, REPLACED = ("stop",), ("replace", "replace", "stop")


class Fault(NamedTuple):
    """How it is made, the options of stories that find it, and one of those that do so."""

    plant: Callable[[Patch], None]
    options: dict[str, Any]
    seed: int = 0


FAULTS = {
    "debts are not paid": Fault(_pay_no_debts, {"ills": STOP}),
    "copies are left where they are": Fault(_leave_copies, {"ills": STOP, "on_down": "gutter"}),
    "the first fallback hears nothing": Fault(
        _skip_the_first_fallback, {"ills": ("stop", "kill"), "on_down": "gutter"}
    ),
    "a change of nodes is no change": Fault(_forget_the_past, {"ills": ("members",)}),
    "copies are forgotten with a change": Fault(
        _forget_the_debts_of_who_left, {"ills": REPLACED, "on_down": "gutter"}, 46
    ),
    "tags of nodes away are skipped": Fault(_skip_tags_of_nodes_away, {"ills": STOP, "on_down": "gutter"}),
    "what is near hears nothing": Fault(_do_not_tell_near, {"ills": STOP, "near": 100_000, "near_ttl": 0.5}),
    "a node is read while it returns": Fault(_read_while_it_returns, {"ills": STOP}, 2),
    "what goes past a node is not noted": Fault(_drop_without_a_word, {"ills": STOP}),
    "what is dirty is believed": Fault(_believe_what_is_dirty, {"ills": ("members",)}),
    "late writes stay": Fault(
        _leave_late_writes, {"ills": REPLACED, "on_down": "rehash", "threads": 4, "pauses": 0.3}, 7
    ),
    "late writes of stand-ins stay": Fault(
        _leave_late_writes_of_stand_ins,
        {"ills": REPLACED, "on_down": "rehash", "threads": 4, "pauses": 0.3},
        7,
    ),
    "late writes stay where the owner returned": Fault(
        _forget_who_returned, {"ills": ("stop", "kill"), "on_down": "rehash", "threads": 4, "pauses": 0.1}
    ),
    "what was given up is not waited for": Fault(_wait_for_nothing, {"ills": ("far", "stop")}, 5),
    "what was lost is not noted": Fault(_note_no_lost_call, {"ills": ("far", "far", "stop")}),
    "who stands in again is believed": Fault(
        _believe_former_stand_ins, {"processes": 2, "ills": ("stop", "kill"), "on_down": "gutter"}, 8
    ),
    "what is outdated is joined": Fault(
        _join_what_is_outdated, {"ills": STOP, "threads": 4, "pauses": 0.3}, 1
    ),
}
