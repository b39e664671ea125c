"""Which requests of an access log would have been refused.

    python -m wsgistack.ratelimit replay ACCESS.LOG "100/minute; 5/second"

Reads Apache's and nginx's common and combined formats, and those with `%v:%p` before them
(vhost_combined, which Debian's Apache writes where no site has a log); time is the log's.  Lines need not be in order
within a minute or two (servers write a request when it ends): they are sorted within a window.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address

from wsgistack.ratelimit.clients import NOBODY, Trust
from wsgistack.ratelimit.limiter import Limiter
from wsgistack.ratelimit.rules import Rule

__all__ = ["Logged", "Report", "parse_line", "replay", "show"]

LINE = re.compile(
    r'(?P<peer>\S+) (?P<identity>\S+) (?P<user>.+?) \[(?P<time>[^\]]+)\] "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3}|-)'
)
SITE = re.compile(r"(?P<host>\S+):[0-9]{1,5}")
TIME = "%d/%b/%Y:%H:%M:%S %z"
SORTED_LINES = 10_000
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Logged:
    """One request of a log, as a RequestView; *at_us* is when it was logged."""

    at_us: int
    peer: str
    user: str
    method: str
    target: str
    scheme: str = "http"
    host: str = ""

    @property
    def path(self) -> str:
        """The path of the target."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query of the target."""
        return self.target.partition("?")[2]

    def field(self, name: str) -> str | None:
        """Return nothing: a log has no fields."""
        return None

    def variable(self, name: str) -> str | None:
        """Return the user, who is all that a log knows."""
        return self.user if name == "REMOTE_USER" and self.user != "-" else None


@dataclass(slots=True)
class Report:
    """What came of a replay: *refused* by policy, *clients* refused by address, *unread* lines."""

    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    first_unread: str = ""


def parse_line(line: str) -> Logged | None:
    """Return the request of one line, None if it is in none of the formats."""
    found = LINE.match(line)
    if found is None:
        return None
    try:
        at = datetime.strptime(found["time"], TIME)
    except ValueError:
        return None
    method, _, rest = found["request"].partition(" ")
    target = rest.rpartition(" ")[0] or rest
    peer, user, host = found["peer"], found["user"], ""
    site = SITE.fullmatch(peer)
    if site is not None and found["identity"] != "-" and " " in user:
        # Nobody runs identd: where a second word is more than "-" it is the client, behind the site.
        host, peer, user = site["host"], found["identity"], user.partition(" ")[2]
    return Logged(round(at.timestamp() * 1e6), peer, user, method, target, host=host)


def replay(lines: Iterable[str], rules: Iterable[Rule], *, trust: Trust | None = None) -> Report:
    """Return what *rules* would have done to the requests of *lines*; memory does not grow with them."""
    report = Report()
    clock = 0
    limiter = Limiter(list(rules), trust=trust or Trust(), now=lambda: clock)
    for request in _in_order(_read(lines, report)):
        clock = max(clock, request.at_us)
        report.requests += 1
        decision = limiter.hit(request)
        if decision.refused is not None:
            report.refused[decision.refused.policy] += 1
            report.clients[_client(limiter.trust.key(request), request.peer)] += 1
        decision.release()  # a log does not say how long a request took
    return report


def _read(lines: Iterable[str], report: Report) -> Iterator[Logged]:
    for line in lines:
        request = parse_line(line)
        if request is not None:
            yield request
        elif line.strip():
            report.unread += 1
            report.first_unread = report.first_unread or line.rstrip("\n")


def _in_order(requests: Iterable[Logged]) -> Iterator[Logged]:
    heap: list[tuple[int, int, Logged]] = []
    for number, request in enumerate(requests):
        heapq.heappush(heap, (request.at_us, number, request))
        if len(heap) > SORTED_LINES:
            yield heapq.heappop(heap)[2]
    while heap:
        yield heapq.heappop(heap)[2]


def _client(key: bytes, peer: str) -> str:
    if key == NOBODY:
        return ascii(peer)[1:-1]  # a log's words are not to reach a terminal as they are
    if len(key) == 4:
        return str(ip_address(key))
    return f"{ip_address(key.ljust(16, bytes(1)))}/{len(key) * 8}"


def show(report: Report) -> list[str]:
    """Return the lines that tell a person what came of it."""
    total = report.refused.total()
    share = 100 * total / report.requests if report.requests else 0.0
    lines = [f"requests {report.requests}", f"refused {total} ({share:.2f} %)"]
    lines += [f"refused by {policy} {count}" for policy, count in sorted(report.refused.items())]
    lines += [f"client {client} refused {count}" for client, count in report.clients.most_common(MOST_SHOWN)]
    if report.unread:
        lines.append(f"not understood {report.unread} lines, the first: {report.first_unread[:200]!r}")
    return lines
