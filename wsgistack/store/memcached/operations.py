"""What one operation does: find the nodes, make the calls, read the answers; no user types yet.

Keys are as the servers know them and as the ring places them; values are bytes with flags.
Nothing in here raises because a node is away; `Outcome.state` tells what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wsgistack.errors import CounterError, TooLarge
from wsgistack.store.memcached import requests
from wsgistack.store.memcached.calls import Call
from wsgistack.store.memcached.cluster import Cluster, Target
from wsgistack.store.memcached.near import Near
from wsgistack.store.memcached.nodes import Node
from wsgistack.store.memcached.replies import Item, Reply

__all__ = ["Operations", "Outcome"]

MOST_LARGE = 10_000
DONE, DOWN = "done", "down"
TOO_LARGE = b"object too large for cache"


class Outcome(NamedTuple):
    """What a write came to: the line that decided, None where no node answered."""

    state: str
    reply: Reply | None


NOBODY = Outcome(DOWN, None)
Make = Callable[[int], Call]  # from the time to live as memcached is told it


class Operations:
    """The operations of one cluster."""

    def __init__(self, cluster: Cluster, *, gutter_ttl: int, near: Near | None = None) -> None:
        self.cluster = cluster
        self.near = near
        self._gutter_ttl = gutter_ttl
        self.large: set[bytes] = set()  # keys whose values were large

    # -- one key --------------------------------------------------------------------

    def get(self, key: bytes) -> Reply | None:
        """Return the item of *key*, which may be kept in this process; None: nobody answered."""
        near = self.near
        if near is None:
            return self.read(key, requests.get)
        now = time.monotonic()
        kept = near.find(key, now)
        if kept is not None:
            return kept
        promise = near.promise(key, now)
        reply = self.read(key, requests.get)
        if promise is not None and reply is not None and reply.code == b"VA":
            near.keep(key, promise, reply, now, left_s=reply.ttl)
        return reply

    def read(self, key: bytes, make: Callable[[bytes], Call]) -> Reply | None:
        """Ask the node of *key* with the call that *make* gives for it; None: nobody answered."""
        cluster = self.cluster
        node = cluster.snapshot.known.get(key)
        if node is None or not node.may_read:
            node = cluster.find_reader(key)
            if node is None:
                return None
        call = make(key)
        if self.large and key in self.large:
            call.is_bulk = True
        cluster.lanes.current().run_one(node, call)
        return self.received(key, node, call)

    def received(self, key: bytes, node: Node, call: Call) -> Reply | None:
        """Return what answered the read *call*, and take note of it."""
        reply = _only(call)
        if reply is None:
            return None
        if reply.code == b"VA":
            node.counters.hits += 1
            if len(reply.value or b"") > requests.BULK_BYTES or call.is_bulk:
                self._note_size(key, reply)
            if b"W" in reply.marks:
                self.post(key, requests.release(key, reply.cas, stale_ttl=max(reply.ttl, 0)))
        else:
            node.counters.misses += 1
        return reply

    def _note_size(self, key: bytes, reply: Reply) -> None:
        """Remember that *key* holds a large value: the next answer goes where no small one waits for it."""
        if len(reply.value or b"") <= requests.BULK_BYTES:
            self.large.discard(key)
            return
        if len(self.large) >= MOST_LARGE:
            self.large.clear()
        self.large.add(key)

    def write(self, key: bytes, make: Make, ttl: int = 0, *, builds: bool = False) -> Outcome:
        """Make the write that *make* gives on every node that keeps *key*; the owner's answer decides.

        *builds*: what it does depends on what is there.  Raises TooLarge and CounterError, which
        say that the request can never succeed.
        """
        if self.near is None:
            return self._write(key, make, ttl, builds)
        try:
            return self._write(key, make, ttl, builds)
        finally:
            self.near.forget((key,))

    def _write(self, key: bytes, make: Make, ttl: int, builds: bool) -> Outcome:
        cluster = self.cluster
        snapshot = cluster.snapshot
        owner = snapshot.known.get(key)
        if owner is not None and owner.may_read and cluster.policy != "replicate":
            call = make(ttl)
            cluster.lanes.current().run_one(owner, call)
            if cluster.snapshot is not snapshot:
                cluster.check_late(snapshot, key, Target(owner, False))
            reply = _only(call)
            if reply is None:
                return NOBODY
            owner.counters.writes += 1
            check(reply, key)
            return Outcome(DONE, reply)
        targets = cluster.find_writers(key, builds=builds)
        if not targets:
            return NOBODY
        pairs = [(target.node, make(self._ttl_on(target, ttl))) for target in targets]
        self.cluster.run(pairs)
        for target in targets:
            cluster.check_late(snapshot, key, target)
        decided = NOBODY
        for node, call in pairs:
            reply = _only(call)
            if reply is not None:
                node.counters.writes += 1
                check(reply, key)
                if decided.reply is None:
                    decided = Outcome(DONE, reply)
                elif builds and (reply.code, reply.value) != (decided.reply.code, decided.reply.value):
                    cluster.owe(node.name, [key])  # it held something else, and does so still
        if builds and decided.reply is not None:
            for node, call in pairs:
                if _only(call) is None:
                    cluster.owe(node.name, [key])  # a lost swap dirties nothing by itself
        return decided

    def _ttl_on(self, target: Target, ttl: int) -> int:
        """Return the time to live on *target*: short where it stands in for a while."""
        if not target.is_stand_in or self.cluster.policy != "gutter":
            return ttl
        limit = self._gutter_ttl
        return limit if ttl == 0 or ttl > limit else ttl

    def look(
        self, node: Node | None, calls: Sequence[Call], keys: Sequence[bytes]
    ) -> tuple[Reply | None, dict[bytes, Item]]:
        """Make *calls* on *node*, in order, and read *keys*; one round trip over all nodes.

        Return the answer to the last call, None if there is none, and the items of *keys*.
        """
        pairs = [] if node is None else [(node, call) for call in calls]
        items = self.read_many(keys, beside=pairs)
        reply = _only(calls[-1]) if node is not None else None
        if node is not None and reply is not None:
            is_hit = reply.code == b"VA" and not (reply.value == b"" and reply.flags == 0)
            node.counters.hits += is_hit
            node.counters.misses += not is_hit
        return reply, items

    def post(self, key: bytes, call: Call) -> None:
        """Send a call to the node of *key* without waiting for what comes of it."""
        if self.near is not None:
            self.near.forget((key,))
        node = self.cluster.find_reader(key)
        if node is not None:
            self.cluster.lanes.current().post(node, call)

    # -- many keys ------------------------------------------------------------------

    def read_many(
        self,
        keys: Sequence[bytes],
        *,
        with_cas: bool = False,
        beside: Sequence[tuple[Node, Call]] = (),
        is_bulk: bool = False,
    ) -> dict[bytes, Item]:
        """Return {key: item} of those of *keys* that are there; one round trip over all nodes.

        *beside*: calls that are made with it.  *is_bulk*: the items are large.
        """
        groups = self._group_readers(keys)
        pairs = [(node, requests.get_many(group, with_cas=with_cas)) for node, group in groups.items()]
        for _, call in pairs:
            call.is_bulk = is_bulk
        found: dict[bytes, Item] = {}
        if not pairs and not beside:
            return found
        self.cluster.run([*beside, *pairs] if beside else pairs)
        for node, call in pairs:
            if type(call.answer) is list:
                before = len(found)
                for key, item in zip(call.keys, call.answer, strict=True):
                    if item is not None:
                        found[key] = item  # type: ignore[assignment]  # of a call for values
                hits = len(found) - before
                node.counters.hits += hits
                node.counters.misses += call.count - hits
        return found

    def write_many(
        self,
        keys: Sequence[bytes],
        make: Callable[[list[int], int], Call],
        ttl: int = 0,
        *,
        builds: bool = False,
    ) -> list[Reply | None]:
        """Make the writes of *keys*, by numbers into *keys*; one round trip over all nodes.

        *make* gives the call for some numbers and a time to live.  *builds* is that of `write`.  The
        answers are in the order of *keys*; None where nobody answered.
        """
        if self.near is None:
            return self._write_many(keys, make, ttl, builds)
        try:
            return self._write_many(keys, make, ttl, builds)
        finally:
            self.near.forget(keys)

    def _write_many(
        self, keys: Sequence[bytes], make: Callable[[list[int], int], Call], ttl: int, builds: bool
    ) -> list[Reply | None]:
        groups: dict[Node, list[int]] = {}
        others: dict[Node, list[int]] = {}
        targets: list[tuple[int, Target]] = []  # of those whose way is not the simple one
        snapshot = self.cluster.snapshot
        find, known = self.cluster.find_writers, snapshot.known
        is_simple = self.cluster.policy != "replicate"
        for number, key in enumerate(keys):
            owner = known.get(key)
            if is_simple and owner is not None and owner.may_read:
                if owner in groups:
                    groups[owner].append(number)
                else:
                    groups[owner] = [number]
                continue
            for target in find(key, builds=builds):
                targets.append((number, target))
                (others if target.is_stand_in else groups).setdefault(target.node, []).append(number)
        answers: list[Reply | None] = [None] * len(keys)
        if not groups and not others:
            return answers
        short = self._ttl_on(Target(next(iter(others)), True), ttl) if others else ttl
        parts = [*groups.items(), *others.items()]
        pairs = [(node, make(numbers, ttl)) for node, numbers in groups.items()]
        pairs += [(node, make(numbers, short)) for node, numbers in others.items()]
        self.run_clearly(pairs)
        if self.cluster.snapshot is not snapshot:
            targets += [
                (number, Target(node, False)) for node, numbers in groups.items() for number in numbers
            ]
        for number, target in targets:
            self.cluster.check_late(snapshot, keys[number], target)
        for (node, call), (_, numbers) in zip(pairs, parts, strict=True):
            if type(call.answer) is list:
                node.counters.writes += len(numbers)
                for number, reply in zip(numbers, call.answer, strict=True):
                    if answers[number] is None:
                        answers[number] = reply  # type: ignore[assignment]  # of a call for lines
        return answers

    def append_many(self, additions: Sequence[requests.Append]) -> list[Reply | None]:
        """Append to the values of keys and read them; one round trip over all nodes.

        None where nobody answered; where a record itself was refused, the value is without it.
        Each goes to one node, and nothing is removed when a node returns: a log that lacks some
        records says more than none.
        """
        groups: dict[Node, list[int]] = {}
        made: list[requests.Append] = list(additions)
        for number, one in enumerate(additions):
            node = self.cluster.find_reader(one.key)
            if node is not None:
                groups.setdefault(node, []).append(number)
                target = Target(node, node is not self.cluster.snapshot.owner(one.key))
                made[number] = one._replace(ttl=self._ttl_on(target, one.ttl))
        answers: list[Reply | None] = [None] * len(made)
        pairs = [(node, requests.append_many([made[n] for n in numbers])) for node, numbers in groups.items()]
        try:
            self.cluster.run(pairs)
        finally:
            if self.near is not None:
                self.near.forget([one.key for one in additions])
        for (node, call), numbers in zip(pairs, groups.values(), strict=True):
            if type(call.answer) is list:
                node.counters.writes += len(numbers)
                end = -1
                for number in numbers:
                    end += requests.append_lines(made[number])
                    answers[number] = call.answer[end]  # type: ignore[assignment]  # of a call for lines
        return answers

    def run_clearly(self, pairs: list[tuple[Node, Call]]) -> None:
        """Make all calls; of one that was quiet and refused without saying what, ask again, aloud."""
        self.cluster.run(pairs)
        again = [number for number, (_, call) in enumerate(pairs) if requests.is_unclear(call)]
        for number in again:
            node, call = pairs[number]
            pairs[number] = node, requests.store_many(*call.words, is_quiet=False)
        if again:
            self.cluster.run([pairs[number] for number in again])

    def _group_readers(self, keys: Iterable[bytes]) -> dict[Node, list[bytes]]:
        groups: dict[Node, list[bytes]] = {}
        find, known = self.cluster.find_reader, self.cluster.snapshot.known
        for key in dict.fromkeys(keys):  # each once: the answer names it once
            node = known.get(key)
            if node is None or not node.may_read:
                node = find(key)
                if node is None:
                    continue
            if node in groups:
                groups[node].append(key)
            else:
                groups[node] = [key]
        return groups

    # -- all nodes ------------------------------------------------------------------

    def everywhere(self, make: Callable[[], Call]) -> dict[Node, Call]:
        """Make a call on every node that is not away; the calls are over afterwards."""
        calls = {node: make() for node in self.cluster.nodes() if node.may_write}
        self.cluster.run(list(calls.items()))
        return calls

    def empty(self, delay_s: int = 0) -> list[str]:
        """Remove everything from all nodes, in *delay_s* seconds; return the names of those that do not say so.

        One that is away, or gave no answer, is emptied before it is used again.
        """
        calls = {node: requests.flush(delay_s) for node in self.cluster.nodes()}
        self.cluster.run(list(calls.items()))
        self.forget()
        done = Reply(b"OK", b"")
        return [node.name for node, call in calls.items() if _only(call) != done]

    def forget(self, *keys: bytes) -> None:
        """Keep nothing of *keys* in this process; of any key if there are none."""
        if self.near is not None:
            if keys:
                self.near.forget(keys)
            else:
                self.near.clear()


def _only(call: Call) -> Reply | None:
    """Return the one line that answered, or None if there is none."""
    answer = call.answer
    if type(answer) is list:
        return answer[0]  # type: ignore[return-value]  # of a call for lines
    return answer if isinstance(answer, Reply) else None


def check(reply: Reply, key: bytes) -> None:
    """Raise what a refusal means that no repetition would change."""
    if reply.code == b"SERVER_ERROR" and reply.value == TOO_LARGE:
        raise TooLarge(f"the value of {key[:80]!r} is larger than the server takes (its option -I)")
    if reply.code == b"CLIENT_ERROR" and b"non-numeric" in (reply.value or b""):
        raise CounterError(f"{key[:80]!r} holds no number to add to")
