"""A story of several processes that use one ring of memcached servers, which fail, hang, come back, join and leave.

All of it happens in one thread and on virtual time; who is next, and what happens, is drawn by lot.
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.simulation.ring_limits import Limits
from tests.simulation.ring_nodes import Server, SimDialogue, SimLanes, Timer
from tests.stale import Change, History, Stale
from wsgistack.store.memcached import (
    cluster,
    commands,
    fetch,
    flights,
    named,
    near,
    nodes,
    operations,
    prober,
    tags,
)
from wsgistack.store.memcached.cluster import Cluster
from wsgistack.store.memcached.prober import Prober
from wsgistack.store.memcached.ring import MemcacheRing
from wsgistack.store.ring import build

__all__ = ["Story"]

NAMES = [f"10.0.0.{number}:11211" for number in range(1, 5)]
KEYS = [f"key:{number}" for number in range(8)]
COUNTS = [f"count:{number}" for number in range(3)]
PAGES = [f"page:{number}" for number in range(4)]
TAGS = ["a", "b", "c"]
ILLS = (
    *("kill", "stop", "stop", "stop", "far", "far", "replace"),
    *("members", "members", "members", "weight", "end"),
)
LIMIT_S = 600.0


class SimLive:
    """What `LiveRing` is, at once."""

    def __init__(self, live: Any) -> None:
        self.ring = live.ring

    def change(self, members: Any, *, done: Callable[[Any], None]) -> None:
        self.ring = build(self.ring.layout, members)
        done(self.ring)

    def forked(self) -> None: ...


class SimProber(Prober):
    """A prober whose work takes its turns."""

    def __init__(self, timer: Timer, servers: dict[str, Server], cluster: Cluster) -> None:
        super().__init__(connect_timeout_s=0.1, find_node=cluster.find, owe=cluster.owe)
        self._timer = timer
        self._servers = servers

    def beside(self, name: str, work: Callable[[Any, Callable[[float], object]], None]) -> None:
        self._timer.spawn(work, (self._timer, self._servers), self._timer.sleep)


class SimEvent:
    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def wait(self, seconds: float) -> bool:
        until = self._timer.now + seconds
        while not self._is_set and self._timer.now < until:
            self._timer.sleep(0.001)
        return self._is_set


class Story:
    """*processes* clients of *threads* each, that make *operations* together."""

    def __init__(
        self,
        seed: int,
        *,
        processes: int = 3,
        threads: int = 2,
        operations: int = 600,
        ills: Sequence[str] = ILLS,
        pauses: float = 0.03,
        **options: Any,
    ) -> None:
        self.ills = ills
        self.timer = Timer(seed, pauses)
        self.dice = self.timer.dice
        self.servers = {name: Server(name, self.timer) for name in NAMES}
        self.options = {
            "on_down": self.dice.choice(["gutter", "gutter", "rehash", "replicate", "miss"]),
            **options,
        }
        near_s = options.get("near_ttl", 0.0)
        self.members = NAMES[:3]
        with self.on_stage():
            self.rings = {who: self._make_ring() for who in range(processes)}
        self.names = itertools.count(processes)
        self._numbers = itertools.count(1)
        self.left = operations
        self.histories = {key: History(key) for key in [*KEYS, *COUNTS, *PAGES]}
        self.tagged = {key: History(f"tags of {key}") for key in PAGES}
        fetched = {name: self.histories[key] for key in PAGES for name in (key, f"tags of {key}")}
        self.limits = Limits(self.rings, fetched, near_s)
        self.versions: dict[str, list[Change]] = {tag: [] for tag in TAGS}  # what may have made one
        self.seen: Counter[str] = Counter()
        self.timer.on_step = lambda: self.limits.compare(self.timer.now)
        self.working = processes * threads
        for who in range(processes):
            for _ in range(threads):
                self.timer.spawn(self._work, who)
        self.timer.spawn(self._disturb)

    @contextmanager
    def on_stage(self) -> Iterator[None]:
        """Let the modules take the story's time for theirs."""
        timer = self.timer
        with pytest.MonkeyPatch.context() as patch:
            for module in (cluster, nodes, prober, operations, named, fetch, tags):
                patch.setattr(module, "time", timer)
            for module in (nodes, fetch):
                patch.setattr(module, "random", self.dice)
            patch.setattr(commands, "monotonic", timer.monotonic)
            patch.setattr(fetch, "pause", timer.sleep)
            patch.setattr(flights, "make_event", lambda: SimEvent(timer))
            patch.setattr(prober, "Dialogue", SimDialogue)
            patch.setattr(near, "hash", zlib.crc32, raising=False)  # the same in each run
            yield

    def tell(self) -> list[Stale]:
        """Let it happen; return what was read and had been gone, but for what docs/memcached.md excepts by name."""
        with self.on_stage():
            self.timer.run(lambda: self.timer.now > 1000 + LIMIT_S or not self.working)
            assert not self.working, "it does not end"
            for server in self.servers.values():
                server.start()
                server.is_far = False
                if server.is_stopped:
                    server.go_on()
            is_read: list[int] = []
            self.timer.spawn(self._read_all, is_read)
            self.timer.run(lambda: bool(is_read) or self.timer.now > 1000 + 2 * LIMIT_S)
            assert is_read, "the nodes do not come back"
        histories = [*self.histories.values(), *self.tagged.values()]
        found = [one for history in histories for one in history.find_stale()]
        return [one for one in found if not self.limits.excepts(one)]

    # -- the processes ------------------------------------------------------------------

    def _make_ring(self) -> MemcacheRing:
        ring = MemcacheRing(list(self.members), **self.options)
        own = ring._cluster
        own.lanes = SimLanes(self.timer, self.servers)  # type: ignore[assignment]
        own.prober = SimProber(self.timer, self.servers, own)
        own._live = SimLive(own._live)  # type: ignore[assignment]
        return ring

    def _note(self, note: Callable[[Change], None], who: int, began: float, value: Any, said: str) -> None:
        ended = self.timer.now
        note(Change(began, ended, who, value, self.limits.find_torn(who, began, ended, said), said))

    def _work(self, who: int) -> None:
        while self.left > 0:
            self.left -= 1
            self.timer.sleep(self.dice.random() * 0.05)
            if who not in self.rings:
                who = self.dice.choice(list(self.rings))
            self._operate(who, self.rings[who])
        self.working -= 1

    def _operate(self, who: int, ring: MemcacheRing) -> None:
        began = self.timer.now
        number = next(self._numbers) * 1000
        key = self.dice.choice(KEYS)
        history = self.histories[key]
        match self.dice.randrange(12):
            case 0 | 1:
                said = ring.set(key, number, self.dice.choice([0, 100]))
                self._note(history.change, who, began, number, f"set {said}")
            case 2:
                said = ring.delete(key)
                self._note(history.change, who, began, None, f"delete {said}")
            case 3:
                value, token = ring.gets(key)
                self._see(history, who, began, value)
                began = self.timer.now
                if token is not None and ring.cas(key, number, token):
                    self._note(history.change, who, began, number, "cas")
            case 4:
                keys = self.dice.sample(KEYS, 3)
                values = {one: number + place for place, one in enumerate(keys)}
                failed = ring.set_many(values)
                for one in keys:
                    words = f"set_many {one not in failed}"
                    self._note(self.histories[one].change, who, began, values[one], words)
            case 5:
                keys = self.dice.sample(KEYS, 2)
                ring.delete_many(keys)
                for one in keys:
                    self._note(self.histories[one].change, who, began, None, "delete_many")
            case 6:
                for one, value in ring.get_many(KEYS).items():
                    self._see(self.histories[one], who, began, value)
            case 7:
                self._count(who, ring, number)
            case 8 | 9:
                self._fetch(who, ring, number)
            case 10:
                tag = self.dice.choice(TAGS)
                said = ring.invalidate_tags(tag)
                self._note(self.versions[tag].append, who, began, None, f"invalidate {said}")
                for page in PAGES:
                    if tag in self._tags_of(page):
                        note = self.tagged[page].change
                        self._note(note, who, began, None, f"invalidate {tag} {said}")
            case _:
                self._see(history, who, began, ring.get(key))

    def _see(self, history: History, who: int, began: float, value: Any) -> None:
        self.seen["nothing" if value is None else "something"] += 1
        if value is not None:
            self._note(history.read, who, began, value, "")

    def _count(self, who: int, ring: MemcacheRing, number: int) -> None:
        key = self.dice.choice(COUNTS)
        history = self.histories[key]
        began = self.timer.now
        match self.dice.randrange(4):
            case 0:
                self._note(history.change, who, began, number, f"set {ring.set(key, number)}")
            case 1 | 2:
                value = ring.incr(key, 1)
                if value is not None:
                    self._note(history.change, who, began, value, "incr")
            case _:
                self._see(history, who, began, ring.get(key))

    def _tags_of(self, page: str) -> list[str]:
        place = PAGES.index(page)
        return [TAGS[place % 3], TAGS[(place + 1) % 3]]

    def _fetch(self, who: int, ring: MemcacheRing, number: int) -> None:
        page = self.dice.choice(PAGES)
        tags = self._tags_of(page)
        began = self.timer.now
        if self.dice.random() < 0.1:
            said = ring.invalidate(page)
            self._note(self.histories[page].change, who, began, None, f"invalidate {said}")
            return
        built: list[float] = []

        def make() -> int:
            built.append(self.timer.now)
            self.timer.turn()
            return number

        value = ring.fetch(page, make, 100, tags=tags)
        if built:
            self.seen["made"] += 1
            for tag in tags:
                self._note(self.versions[tag].append, who, began, None, "")
            torn = max([self.limits.find_traces(one, built[0]) for tag in tags for one in self.versions[tag]])
            self.tagged[page].make(Change(built[0], built[0], who, number, torn))
            self._note(self.histories[page].make, who, began, number, "fetch")
        else:
            self.seen["fetched"] += 1
            self._note(self.tagged[page].read, who, began, value, "")
            self._note(self.histories[page].read, who, began, value, "")

    def _read_all(self, is_read: list[int]) -> None:
        """Ask for all until the nodes are back in use, and then once more."""
        while not all(node.may_read for ring in self.rings.values() for node in ring._cluster.nodes()):
            for ring in list(self.rings.values()):
                ring.get_many([*KEYS, *COUNTS, *(f"other:{number}" for number in range(50))])
            self.timer.sleep(0.1)
        for who, ring in list(self.rings.items()):
            began = self.timer.now
            for one, value in ring.get_many([*KEYS, *COUNTS]).items():
                self._see(self.histories[one], who, began, value)
        is_read.append(1)

    # -- what disturbs them -------------------------------------------------------------

    def _disturb(self) -> None:
        while self.left > 0:
            self.timer.sleep(self.dice.choice([0.02, 0.05, 0.2]))
            server = self.servers[self.dice.choice(NAMES)]
            match self.dice.choice(self.ills):
                case "kill":
                    server.kill()
                    self.timer.spawn(self._later, server.start)
                case "stop" if server.is_up and not server.is_stopped:
                    server.is_stopped = True
                    self.timer.spawn(self._later, partial(self._go_on, server))
                case "far" if not server.is_far:
                    server.is_far = True
                    self.timer.spawn(self._later, partial(setattr, server, "is_far", False))
                case "members":
                    self._change_members(self.dice.choice(NAMES[2:]))
                case "replace" if server.name in NAMES[2:] and server.name in self.members:
                    server.is_stopped = True
                    self.timer.spawn(self._replace, server)
                case "weight":
                    weight = self.dice.choice([1, 3])
                    for ring in self.rings.values():
                        ring.set_weight(NAMES[0], weight)
                case "end" if self.dice.random() < 0.3:
                    self._restart_one()

    def _later(self, act: Callable[[], None]) -> None:
        self.timer.sleep(self.dice.choice([0.05, 0.2, 0.6]))
        act()

    def _go_on(self, server: Server) -> None:
        if server.is_stopped:
            server.go_on()

    def _replace(self, server: Server) -> None:
        """Let one that failed leave, and join again when it is well."""
        self._later(partial(self._change_members, server.name))
        self._later(partial(self._go_on, server))
        if server.name not in self.members:
            self._change_members(server.name)

    def _change_members(self, name: str) -> None:
        """Let one join or leave, in all processes at once or one after the other."""
        is_joining = name not in self.members
        self.members = [one for one in NAMES if (one in self.members) is not (one == name)]
        at_once = self.dice.random() < 0.5
        for who, ring in list(self.rings.items()):
            if not at_once:
                self.timer.sleep(self.dice.random() * 0.05)
            has_it = any(node.name == name for node in ring._cluster.nodes())
            is_meant = (name in self.members) is is_joining  # and no later change is on its way
            if self.rings.get(who) is ring and is_meant and has_it is not is_joining:
                (ring.add_server if is_joining else ring.remove_server)(name)

    def _restart_one(self) -> None:
        who = self.dice.choice(list(self.rings))
        self.rings.pop(who).close()
        self.limits.ended_at[who] = self.timer.now
        who = next(self.names)
        self.rings[who] = self._make_ring()
        self.limits.born_at[who] = self.timer.now
