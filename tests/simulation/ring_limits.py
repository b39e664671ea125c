"""What docs/memcached.md does not promise, "What is not promised": the stale reads that a story permits.

All of them are between processes.  Of its own changes each expects that they last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from tests.stale import APART, SPLIT, Change, History, Stale
from wsgistack.store.memcached.cluster import Snapshot
from wsgistack.store.memcached.ring import MemcacheRing

__all__ = ["Limits"]


class Limits:
    """Watches the *rings* of a story, by their processes.

    *fetched*: the histories of what is fetched, also by the names of the histories of their tags.
    *near_s*: how long a process keeps what it read.
    """

    def __init__(
        self, rings: Mapping[int, MemcacheRing], fetched: Mapping[str, History], near_s: float
    ) -> None:
        self._rings = rings
        self._fetched = fetched
        self._near_s = near_s
        self._split_at = 0.0  # when the processes last had other nodes than each other
        self._apart_at = 0.0  # when they last saw these in other states, or one had to remove something
        self._is_split = self._is_apart = False
        self._well_at: list[float] = []  # when all nodes were in use and nothing was owed to any
        self._left_at: list[float] = []  # when a node left for good that was not in use by then
        self._unwell: dict[int, tuple[frozenset[str], Snapshot | None]] = {}
        self.ended_at: dict[int, float] = {}
        self.born_at = dict.fromkeys(rings, 0.0)

    def compare(self, now: float) -> None:
        """Take note of how the processes see the nodes; after each step of the story, and of each operation."""
        if self._is_split:
            self._split_at = now  # until now
        if self._is_apart:
            self._apart_at = now
        views, members, is_well, is_tidied = set(), set(), True, False
        for who, ring in self._rings.items():
            self._see_off(who, ring, now)
            nodes = ring._cluster.snapshot.nodes
            views.add(tuple([node.state for node in nodes]))
            members.add(tuple([(node.name, node.weight) for node in nodes]))
            is_well = is_well and all(node.may_read and node.journal.is_clean for node in nodes)
            is_tidied = is_tidied or any(node.may_read and not node.journal.is_clean for node in nodes)
        self._is_split, self._is_apart = len(members) > 1, len(views) > 1 or is_tidied
        if self._is_split:
            self._split_at = now
        if self._is_apart:
            self._apart_at = now
        if is_well:
            self._well_at.append(now)

    def _see_off(self, who: int, ring: MemcacheRing, now: float) -> None:
        """Take note of a node that left the ring before it was well again."""
        unwell, snapshot = self._unwell.get(who, (frozenset(), None))
        if snapshot is not ring._cluster.snapshot:
            if unwell.difference(node.name for node in ring._cluster.snapshot.nodes):
                self._left_at.append(now)
            snapshot = ring._cluster.snapshot
        names = [node.name for node in snapshot.nodes if not (node.may_read and node.journal.is_clean)]
        self._unwell[who] = frozenset(names), snapshot

    def find_torn(self, who: int, began: float, now: float, said: str) -> int:
        """Return the Change.torn of what *who* began then, is over *now*, and *said* that."""
        self.compare(now)
        since = began - self._near_s  # what is kept near is as old
        if self._split_at >= since:
            return SPLIT
        is_apart = self._apart_at >= since or who in self.ended_at  # and still at work
        return APART if is_apart or said.endswith("False") else 0

    def excepts(self, one: Stale) -> bool:
        """Return whether nobody promised that *one* does not happen."""
        if one.is_own and not (one.key.startswith("tags") and len(self.born_at) > 1):
            return False  # the version of a tag is a value of its own, which another process may have made
        return (
            self._was_on_its_way(one)
            or self._was_seen_otherwise(one)
            or self._was_forgotten(one)
            or one.gone.ended > one.read.began - self._near_s  # it was kept near since
        )

    def _was_on_its_way(self, one: Stale) -> bool:
        """ "What is being made": another caller of the same process was at it before another one removed it."""
        history = self._fetched.get(one.key)
        if history is None or one.read.who == one.gone.who:
            return False
        whole = history.made.get(one.read.value)
        others = [*history.reads, whole] if whole is not None else history.reads
        return any(
            (other.who, other.value) == (one.read.who, one.read.value)
            and other.began <= one.gone.ended
            and other.ended >= one.read.began
            for other in others
        )

    def _was_seen_otherwise(self, one: Stale) -> bool:
        """ "Views that differ", "Rings that differ", "Writes that returned False"."""
        then = one.read.began - self._near_s
        return one.read.torn > 0 or any(self.find_traces(change, then) for change in (one.made, one.gone))

    def find_traces(self, change: Change, then: float) -> int:
        """Return *change*.torn if at *then* it could be missed or found where it was not expected, else 0."""
        if change.torn == APART:  # until all nodes are in use again, as all see it
            place = bisect_right(self._well_at, change.ended)
            is_over = place < len(self._well_at) and self._well_at[place] <= then
            was_cut = any(change.began <= at <= then for at in self._left_at)  # nobody thinks of it later
            return 0 if is_over and not was_cut else APART
        return change.torn

    def _was_forgotten(self, one: Stale) -> bool:
        """ "Processes that end and begin": with one its journal went, or the reader knows no ring of before."""
        if one.made.began <= self.born_at[one.read.who]:
            return True
        for change in (one.made, one.gone):
            ended_at = self.ended_at.get(change.who)
            if ended_at is None:
                continue
            if ended_at >= one.gone.began or (change.torn and ended_at <= change.ended):
                return True
            if self.find_traces(change, ended_at):
                return True
        return False
