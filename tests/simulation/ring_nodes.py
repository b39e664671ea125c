"""Memcached servers without sockets, and the ways to them: what a ring's lanes and prober are in a simulation.

A call is carried out by its verb and words, as `classic` does, so neither bytes nor their readers are tried here.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, Self

from greenlet import getcurrent, greenlet

from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.replies import Item, Reply

__all__ = ["Server", "SimDialogue", "SimLanes", "Timer"]

TIMEOUT_S = 0.05
# What becomes of a call on a bad way; of most nothing.
MISHAPS = (*[""] * 12, "it is lost", "it is cut", "its answer is lost", "it comes late", "it comes late")
HD, NF, NS, EX = Reply(b"HD"), Reply(b"NF"), Reply(b"NS"), Reply(b"EX")


class Timer:
    """Greenlets that take turns by lot, and the time, which passes while they wait."""

    def __init__(self, seed: int, pauses: float) -> None:
        """*pauses*: how often a call has to wait for its turn, of 1."""
        self.dice = random.Random(seed)
        self.pauses = pauses
        self.now = 1000.0
        self.steps = 0
        self.on_step: Callable[[], None] = lambda: None
        self._main = getcurrent()
        self._waiting: dict[greenlet, float] = {}

    # What modules take for the module `time`.
    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000 + self.now

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def sleep(self, seconds: float) -> None:
        """Wait so long, or longer."""
        self._waiting[getcurrent()] = self.now + seconds
        self._main.switch()

    def turn(self) -> None:
        """Let others have their turns, or none."""
        if self.dice.random() < 0.7:
            self.sleep(self.dice.choice([0.0, 0.0001, 0.001]))

    def spawn(self, function: Callable[..., object], *words: Any) -> None:
        """Let *function* run beside the others."""
        self._waiting[greenlet(lambda: function(*words), self._main)] = self.now

    def run(self, is_over: Callable[[], bool]) -> None:
        """Let all run until *is_over*."""
        while not is_over():
            ready = [one for one, due in self._waiting.items() if due <= self.now]
            if not ready:
                self.now = min(self._waiting.values())
                continue
            one = self.dice.choice(ready)
            del self._waiting[one]
            self.steps += 1
            self.now += 0.00001
            one.switch()
            self.on_step()


class _Entry:
    __slots__ = ("cas", "ends_at", "flags", "is_stale", "is_won", "value")

    def __init__(self, value: bytes, flags: int, cas: int, ends_at: float) -> None:
        self.value, self.flags, self.cas, self.ends_at = value, flags, cas, ends_at
        self.is_stale = self.is_won = False


class Server:
    """One memcached: up, stopped (what is sent waits), or not there."""

    def __init__(self, name: str, timer: Timer) -> None:
        self.name = name
        self._timer = timer
        self._pids = itertools.count(timer.dice.randrange(1, 10**6))
        self.is_up = True
        self.is_stopped = False
        self.is_far = False  # the way to it is bad
        self.pid = next(self._pids)
        self._items: dict[bytes, _Entry] = {}
        self.unread: list[tuple[Unread, Call]] = []
        self._cas = timer.dice.randrange(1, 10**9) * 1000  # those of other servers are never the same

    def kill(self) -> None:
        self.is_up, self.is_stopped = False, False
        for sock, _ in self.unread:
            sock.has_ended = True
        self.unread = []
        self._items = {}

    def start(self) -> None:
        """Begin, empty."""
        if not self.is_up:
            self.is_up, self.pid = True, next(self._pids)

    def go_on(self) -> None:
        """Go on after a stop: what was sent meanwhile is read bit by bit, in any order."""
        self.is_stopped = False
        self._timer.spawn(self._read)

    def read_late(self, sock: Unread, call: Call) -> None:
        """Read what was long on its way, if it is still the same server."""
        pid = self.pid
        self._timer.sleep(self._timer.dice.choice([0.06, 0.2, 0.5]))
        if self.is_up and self.pid == pid and not self.is_stopped:
            self.answer(call)
        sock.has_ended = True

    def _read(self) -> None:
        while self.unread and self.is_up and not self.is_stopped:
            dice = self._timer.dice
            self._timer.sleep(dice.choice([0.0, 0.0, 0.01, 0.1]))
            if not self.unread or self.is_stopped:
                return
            sock, call = self.unread.pop(dice.randrange(len(self.unread)))
            if dice.random() < 0.7:  # else it never came
                self.answer(call)
            sock.has_ended = True

    # -- what it answers --------------------------------------------------------------

    def answer(self, call: Call) -> Any:
        """Do what *call* asks for and return the answer."""
        return getattr(self, "_" + call.verb)(call)

    def find(self, key: bytes) -> _Entry | None:
        entry = self._items.get(key)
        if entry is not None and 0 < entry.ends_at <= self._timer.now:
            del self._items[key]
            return None
        return entry

    def _put(self, key: bytes, value: bytes, flags: int, ttl: int) -> _Entry:
        self._cas += 1
        entry = _Entry(value, flags, self._cas, self._ends_at(ttl))
        self._items[key] = entry
        return entry

    def _ends_at(self, ttl: int) -> float:
        return 0.0 if ttl == 0 else self._timer.now + max(ttl, 0)

    def _told(self, entry: _Entry | None, marks: bytes = b"") -> Reply:
        if entry is None:
            return Reply(b"EN")
        left = -1 if not entry.ends_at else max(int(entry.ends_at - self._timer.now), 0)
        return Reply(b"VA", entry.value, entry.flags, entry.cas, left, marks)

    def _win(self, entry: _Entry) -> bytes:
        stale = b"X" if entry.is_stale else b""
        if entry.is_won:
            return stale + b"Z"
        entry.is_won = True
        return stale + b"W"

    def _get(self, call: Call) -> Any:
        entry = self.find(call.keys[0])
        if entry is not None and call.words[0] is not None:
            entry.ends_at = self._ends_at(call.words[0])
        return [self._told(entry, self._win(entry) if entry is not None and entry.is_stale else b"")]

    def _lease(self, call: Call) -> Any:
        stub_ttl, early = call.words
        entry = self.find(call.keys[0])
        if entry is None:
            entry = self._put(call.keys[0], b"", 0, stub_ttl)
            return [self._told(entry, self._win(entry))]
        is_late = early and entry.ends_at and entry.ends_at - self._timer.now < early
        is_stub = entry.value == b"" and entry.flags == 0
        return [self._told(entry, self._win(entry) if is_late or entry.is_stale or is_stub else b"")]

    def _get_many(self, call: Call) -> Any:
        found: list[Any] = []
        for key in call.keys:
            entry = self.find(key)
            if entry is None:
                found.append(None)
            elif call.kind == "bare" and entry.value and not entry.flags:
                found.append(entry.value)
            else:
                found.append(Item(entry.value, entry.flags, entry.cas))
        return found

    def _store(self, call: Call) -> Any:
        mode, value, flags, ttl, cas = call.words
        key = call.keys[0]
        entry = self.find(key)
        if cas is not None and (entry is None or entry.cas != cas):
            return [NF if entry is None else EX]
        if (mode == "add") is (entry is not None) and mode in ("add", "replace"):
            return [NS]
        self._put(key, value, flags, ttl)
        return [HD]

    def _store_many(self, call: Call) -> Any:
        items, ttl = call.words
        for key, value, flags in items:
            self._put(key, value, flags, ttl)
        return [HD] * len(items)

    def _delete_many(self, call: Call) -> Any:
        return [HD if self._items.pop(key, None) is not None else NF for key in call.keys]

    def _release(self, call: Call) -> Any:
        cas, stale_ttl = call.words
        entry = self.find(call.keys[0])
        if entry is None or entry.cas != cas:
            return [NF if entry is None else EX]
        if stale_ttl is None:
            del self._items[call.keys[0]]
        else:
            self._cas += 1
            entry.cas, entry.ends_at = self._cas, self._ends_at(stale_ttl)
            entry.is_stale, entry.is_won = True, False
        return [HD]

    def _touch(self, call: Call) -> Any:
        entry = self.find(call.keys[0])
        if entry is None:
            return [Reply(b"EN")]
        entry.ends_at = self._ends_at(call.words[0])
        return [HD]

    def _arithmetic(self, call: Call) -> Any:
        delta, first, ttl, _ = call.words
        return [self._count(call.keys[0], delta, first, ttl)]

    def _count_many(self, call: Call) -> Any:
        by, first, ttl = call.words
        return [self._count(key, by, first, ttl) for key in call.keys]

    def _count(self, key: bytes, by: int, first: int | None, ttl: int) -> Reply:
        entry = self.find(key)
        if entry is None:
            if first is None:
                return NF
            return Reply(b"VA", self._put(key, b"%d" % first, 0, ttl).value)
        self._cas += 1
        entry.cas = self._cas
        entry.value = b"%d" % max(int(entry.value) + by, 0)
        return Reply(b"VA", entry.value)

    def _line(self, call: Call) -> Any:
        if call.words[0].startswith(b"flush_all"):
            self._items = {}
            return [Reply(b"OK", b"")]
        return [Reply(b"VERSION", b"1.6.18")]

    _flush = _line

    def _stats(self, call: Call) -> Any:
        return {b"pid": b"%d" % self.pid}


class Unread:
    """A connection that was given up; its server may still read from it."""

    def __init__(self) -> None:
        self.has_ended = False

    def setblocking(self, _: bool) -> None: ...

    def close(self) -> None: ...

    def recv(self, _: int) -> bytes:
        if self.has_ended:
            return b""
        raise BlockingIOError


class SimLanes:
    """The lanes of one ring, all one: calls of any greenlet take their turns."""

    def __init__(self, timer: Timer, servers: dict[str, Server]) -> None:
        self._timer = timer
        self._servers = servers
        self.ask: Callable[..., Any] = lambda *_: None  # there is no short way
        self.last = (None, self)

    def current(self) -> SimLanes:
        return self

    def all(self) -> list[SimLanes]:
        return [self]

    def forget(self, node: Node) -> None: ...

    def close(self) -> None: ...

    def run(self, pairs: Sequence[tuple[Node, Call]]) -> None:
        for node, call in pairs:
            self.run_one(node, call)

    def run_one(self, node: Node, call: Call) -> None:
        """Make *call*: there and back, or as far as it comes."""
        server = self._servers[node.name]
        self._timer.turn()
        if self._timer.dice.random() < self._timer.pauses:  # another thread has its turn, or another program
            self._timer.sleep(0.2)
        if node.passes(call):
            call.finish(None, "down")
            return
        if not server.is_up:
            self._fail(node, call, "refused", None)
            return
        mishap = self._timer.dice.choice(MISHAPS) if server.is_far else ""
        if server.is_stopped or mishap == "it comes late":
            unread = Unread()
            if server.is_stopped:
                server.unread.append((unread, call))
            else:
                self._timer.spawn(server.read_late, unread, call)
            self._timer.sleep(TIMEOUT_S)
            self._fail(node, call, "timeout", unread)
            return
        if mishap == "it is lost":
            self._fail(node, call, "lost", None)
            return
        pid = server.pid
        answer = server.answer(call)
        self._timer.turn()
        if mishap == "its answer is lost":
            self._timer.sleep(TIMEOUT_S)
            unread = Unread()
            unread.has_ended = True
            self._fail(node, call, "timeout", unread)
            return
        if mishap == "it is cut":
            self._fail(node, call, "lost", None)
            return
        if not server.is_up or server.pid != pid or server.is_stopped:
            was_killed = not server.is_up or server.pid != pid
            self._fail(node, call, "lost" if was_killed else "timeout", None)
            return
        call.finish(answer, None)

    def _fail(self, node: Node, call: Call, failure: str, unread: Unread | None) -> None:
        node.broke(failure, [call], unread)
        call.finish(None, failure)

    def post(self, node: Node, call: Call) -> None:
        self._timer.spawn(self.run_one, node, call)


class SimDialogue:
    """What the prober asks by; *sockets* is (timer, servers)."""

    def __init__(self, address: Any, sockets: tuple[Timer, dict[str, Server]], timeout_s: float) -> None:
        self._timer, servers = sockets
        self._server = servers[address.name]
        self._timer.turn()
        if not self._server.is_up:
            raise ConnectionRefusedError
        self._pid = self._server.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, call: Call, timeout_s: float) -> Any:
        self._timer.turn()
        if self._server.is_stopped:
            self._timer.sleep(timeout_s)
            raise TimeoutError
        if not self._server.is_up or self._server.pid != self._pid:
            raise ConnectionResetError
        answer = self._server.answer(call)
        self._timer.turn()
        if not self._server.is_up or self._server.pid != self._pid:
            raise ConnectionResetError
        return answer
