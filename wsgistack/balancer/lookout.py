"""What changes outside: names are looked up again when their answers expire, nodefiles and lists are watched.

Greenlets that tell control what they met; control decides what follows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import gevent

from wsgistack.balancer.address_list import read_list
from wsgistack.balancer.control import Control
from wsgistack.balancer.discovery import show_record
from wsgistack.balancer.dns_package import has_dns
from wsgistack.balancer.events import Log
from wsgistack.balancer.files import Disk
from wsgistack.balancer.local_names import Answer, LocalNames
from wsgistack.balancer.lookups import Lookup
from wsgistack.balancer.model import Fact, ListRead, NodefileRead, Resolved
from wsgistack.balancer.nodefile import parse_nodefile
from wsgistack.balancer.nodefile_watch import News, NodefileWatch

__all__ = ["Lookout", "next_look"]

SHORTEST_TTL_S = 1.0
LONGEST_TTL_S = 3600.0
CONFIRM_S = 5.0  # after an answer that left most nodes out: the next one decides
LONGEST_RETRY_S = 30.0  # after failures: 1 s, doubling
JITTER = 0.1  # later, never before the TTL is over: the names of a pool do not stay in step
POLL_S = 1.0
MOST_LINES_SAID = 20  # of what is wrong with a nodefile

Absorb = Callable[[Fact], None]
Reader = Callable[[str, News], None]  # of a file that changed


class Lookout:
    """One greenlet per name, and one for all files: nodefiles, and lists of networks.

    `refresh` after every change of the snapshot makes them what control asks for.
    """

    def __init__(self, control: Control, absorb: Absorb, log: Log, *, poll_s: float = POLL_S) -> None:
        self._control = control
        self._absorb = absorb
        self._log = log
        self._poll_s = poll_s
        self._settings: tuple[Any, ...] = ()
        self._names: dict[str, Any] = {}
        self._files: dict[tuple[Reader, str], NodefileWatch] = {}
        self._watcher: Any = None
        self._left_out: dict[str, int] = {}
        self._is_stopped = False

    def refresh(self) -> None:
        """Start and stop greenlets, unless it was stopped; new settings of the resolver look everything up anew."""
        if self._is_stopped:
            return
        server = self._control.snapshot.server
        settings = (server["resolvers"], server["resolve_family"], server["resolve_timeout"])
        if settings != self._settings:
            self._settings = settings
            self._forget_names(set(self._names))
        hosts = set(self._control.hosts())
        self._forget_names(set(self._names) - hosts)
        for name in hosts - set(self._names):
            self._names[name] = gevent.spawn(self._follow, name)
        files = {(self._read_nodefile, path) for path in self._control.nodefiles()}
        files |= {(self._read_list, path) for path in self._control.address_lists()}
        for file in set(self._files) - files:
            del self._files[file]
        for file in files - set(self._files):
            self._files[file] = NodefileWatch(file[1])
        if self._files and self._watcher is None:
            self._watcher = gevent.spawn(self._watch)
        self._say_left_out()

    def _forget_names(self, names: set[str]) -> None:
        for name in names:
            greenlet = self._names.pop(name)
            if greenlet is not gevent.getcurrent():
                greenlet.kill(block=False)

    def stop(self) -> None:
        """End all greenlets, for good."""
        self._is_stopped = True
        self._forget_names(set(self._names))
        self._files.clear()
        if self._watcher is not None:
            self._watcher.kill(block=False)
            self._watcher = None

    # Names.

    def _follow(self, name: str) -> None:
        resolve = self._choose_resolver()
        failures = 0
        while self._names.get(name) in (gevent.getcurrent(), None):
            answer = resolve(name)
            before = self._control.lookup(name)
            self._absorb(Resolved(name, answer.records, answer.detail, answer.dropped))
            after = self._control.lookup(name)
            self._say_name(before, after)
            failures = 0 if answer.records else failures + 1
            gevent.sleep(next_look(answer.ttl_s, failures, after.kept) * random.uniform(1, 1 + JITTER))

    def _choose_resolver(self) -> Callable[[str], Answer]:
        servers, family, timeout_s = self._settings
        if not has_dns():
            return LocalNames(family=family).resolve
        from wsgistack.balancer.resolver import Resolver  # with dnspython, which few pools need

        return Resolver(parse_servers(servers), family=family, timeout_s=timeout_s).resolve

    def _say_name(self, before: Lookup, after: Lookup) -> None:
        name = after.name
        if after.detail:
            if after.detail != before.detail:
                self._log.warn("resolve_failed", name=name, error=after.detail, kept=len(after.records))
            return
        if after.records != before.records or before.detail:
            self._log.info("resolved", name=name, leads=", ".join(map(show_record, after.records)))
        if after.kept:
            self._log.warn("resolve_shrunk", name=name, kept=after.kept)
        if after.dropped and after.dropped != before.dropped:
            self._log.warn("resolve_bounded", name=name, used=len(after.records), dropped=after.dropped)

    def _say_left_out(self) -> None:
        left_out = self._control.left_out()
        for pool, count in left_out.items():
            if self._left_out.get(pool) != count:
                self._log.warn("nodes_left_out", pool=pool, count=count, reason="no room on the scoreboard")
        self._left_out = left_out

    # Files.

    def _watch(self) -> None:
        disk = Disk()
        pool = gevent.get_hub().threadpool  # a file system may hang: not the supervisor with it
        while True:
            for file, watch in list(self._files.items()):
                news = pool.apply(watch.look, (disk, time.time()))
                if news is not None and self._files.get(file) is watch:
                    file[0](watch.path, news)
            gevent.sleep(self._poll_s)

    def _read_nodefile(self, path: str, news: News) -> None:
        if news.error:
            self._log.warn("nodefile_missing", file=path, error=news.error)
            return
        self._say_lines(path, news.text)
        self._absorb(NodefileRead(path, news.text))

    def _read_list(self, path: str, news: News) -> None:
        if news.error:
            self._log.warn("list_missing", file=path, error=news.error, kept=True)
            return
        pool = gevent.get_hub().threadpool  # a long one takes most of a second
        found, problems = pool.apply(read_list, (path, news.text))
        for number, problem in problems[:MOST_LINES_SAID]:
            self._log.warn("list_line", at=f"{path}:{number}", error=problem, kept=True)
        if len(problems) > MOST_LINES_SAID:
            self._log.warn("list_line", at=path, suppressed=len(problems) - MOST_LINES_SAID, kept=True)
        if found is not None:
            self._log.info("list_read", file=path, networks=len(found.ranges))
            self._absorb(ListRead(found))

    def _say_lines(self, path: str, text: str) -> None:
        entries, problems = parse_nodefile(text)
        for number, line, problem in problems[:MOST_LINES_SAID]:
            self._log.warn("nodefile_line", at=f"{path}:{number}", line=line, error=problem)
        more = len(problems) - MOST_LINES_SAID
        if more > 0:
            self._log.warn("nodefile_line", at=path, suppressed=more)
        if entries:
            self._log.info("nodefile_read", file=path, nodes=len(entries))
        else:
            self._log.warn("nodefile_empty", file=path, reason="it holds no node: those of before stay")


def next_look(ttl_s: float, failures: int, kept: int) -> float:
    """Return after how many seconds to look up again.

    >>> next_look(60.0, 0, 0), next_look(0.0, 0, 0), next_look(60.0, 0, 3)
    (60.0, 1.0, 5.0)
    >>> [next_look(0.0, failures, 0) for failures in (1, 2, 3, 9)]
    [1.0, 2.0, 4.0, 30.0]
    """
    if failures:
        return min(2.0 ** min(failures - 1, 16), LONGEST_RETRY_S)
    wait_s = min(max(ttl_s, SHORTEST_TTL_S), LONGEST_TTL_S)
    return min(wait_s, CONFIRM_S) if kept else wait_s


def parse_servers(texts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return (host, port) of each `ip:port`."""
    found = []
    for text in texts:
        host, _, port = text.rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)
