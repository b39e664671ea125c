"""A control plane without a world: ports that are only noted, counters that tests write."""

import errno
from collections.abc import Iterable, Mapping

from wsgistack.balancer.control import Control, Session
from wsgistack.balancer.language.replies import Ask, Order, Row, Silent, Task, encode
from wsgistack.balancer.outside import NodeCounts, Outcomes, ProcessCounts
from wsgistack.errors import CommandError, ListenError
from wsgistack.settings import Value

__all__ = ["FakeFiles", "FakePorts", "FakeStats", "Stage", "make_counts"]


def make_counts() -> NodeCounts:
    """Return the row of a node that nobody ever asked."""
    return NodeCounts(
        handed=0,
        attempts=0,
        connects=0,
        verifies=0,
        requests=0,
        failures=0,
        in_flight=0,
        open=0,
        lastattempt=0.0,
        lastconnect=0.0,
        lastresponse=0.0,
        responsecodes={},
    )


class FakePorts:
    """Notes what is open, in order; refuses the addresses in `taken`."""

    def __init__(self) -> None:
        self.open_now: list[tuple[str, str]] = []
        self.taken: set[str] = set()
        self.missing: set[str] = set()
        self.log: list[str] = []

    def open(self, service: str, address: str) -> None:
        """Note it, or refuse it."""
        if address in self.taken:
            raise ListenError("Error creating listening socket: Address already in use")
        self.open_now.append((service, address))
        self.log.append(f"open {address}")

    def check(self, role: str | None, settings: Mapping[str, Value]) -> None:
        """Refuse the token files in `missing`."""
        if role == "management" and settings["admin_token_file"] in self.missing:
            raise CommandError(f"token file {settings['admin_token_file']}: No such file or directory")

    def close(self, service: str, address: str) -> None:
        """Note it; closing what is not open is an error of the caller."""
        self.open_now.remove((service, address))
        self.log.append(f"close {address}")


class FakeStats:
    """A scoreboard that tests write."""

    def __init__(self) -> None:
        self.rows: dict[int, NodeCounts] = {}
        self.outcome: dict[int, Outcomes] = {}
        self.sessions: dict[tuple[str, str, float], int] = {}
        self.resets: list[int] = []
        self.bucket_counts = [0] * 32
        self.strayed = 0
        self.service_resets: list[int] = []
        self.process = ProcessCounts(pid=7, utime=0.0, stime=0.0, reqs=0)

    def node(self, slot: int) -> NodeCounts:
        """Return the row, made when it is first asked for."""
        return self.rows.setdefault(slot, make_counts())

    def outcomes(self, slots: Iterable[int]) -> list[Outcomes]:
        """Return what tests wrote, nothing at first."""
        return [self.outcome.get(slot, Outcomes()) for slot in slots]

    def learned(self, service: str, cookie: str, ttl_s: float) -> int:
        """Return what tests wrote, nothing at first."""
        return self.sessions.get((service, cookie, ttl_s), 0)

    def buckets(self, slot: int) -> tuple[list[int], int]:
        """Return what tests wrote, nothing at first."""
        return self.bucket_counts, self.strayed

    def reset_node(self, slot: int) -> None:
        """Note it, and empty the row."""
        self.resets.append(slot)
        self.rows[slot] = make_counts()

    def reset_service(self, slot: int) -> None:
        """Note it."""
        self.service_resets.append(slot)

    def proc(self) -> ProcessCounts:
        """Return what the test said."""
        return self.process


class FakeFiles:
    """Files that tests write: {path: text}; nothing can be appended to those that are `locked`."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.locked: set[str] = set()

    def check_log(self, path: str) -> None:
        """Refuse what the test locked."""
        if path in self.locked:
            raise PermissionError(errno.EACCES, "Permission denied", path)

    def check_folder(self, path: str) -> None:
        """Refuse what the test locked."""
        self.check_log(path)

    def read(self, path: str) -> str:
        """Return what the test wrote, or refuse as the system does."""
        if path not in self.texts:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.texts[path]


class Stage:
    """A control plane, one session, and `say`, which returns what telnet would print."""

    def __init__(self, *, workers: int = 2) -> None:
        self.ports = FakePorts()
        self.stats = FakeStats()
        self.rows: list[list[Row]] = []  # what the workers answer
        self.orders: list[Order] = []
        self.files = FakeFiles()
        self.control = Control(
            ports=self.ports, stats=self.stats, files=self.files, workers=workers, started_at=1000.0
        )
        self.session = Session()
        self.now = 1010.0

    def say(self, *lines: str) -> list[str]:
        """Run the lines and return what is printed, without the ends of the lines."""
        printed = b""
        for line in lines:
            reply = self.control.run(line, self.session, self.now)
            if isinstance(reply, Ask):
                reply = reply.answer(self.rows)
            if isinstance(reply, Order):
                self.orders.append(reply)
            if isinstance(reply, Task | Order):
                reply = Silent()  # the work of others
            printed += encode(reply, verbose=self.session.verbose)
        return printed.decode().split("\r\n")[:-1]

    def do(self, *lines: str) -> None:
        """Run the lines; each must say OK."""
        for line in lines:
            assert self.say(line) == ["OK"], line

    def make_site(self) -> None:
        """Say the configuration of the manual: pool mypool, service mysite, admin."""
        self.do(
            "CREATE POOL mypool",
            "POOL mypool ADD 127.0.0.1:8001",
            "POOL mypool ADD 127.0.0.1:8002",
            "CREATE SERVICE mysite",
            "SET listen = 127.0.0.1:8080",
            "SET role = reverse_proxy",
            "SET pool = mypool",
            "SET verify_backend = on",
            "SET buffer_size = 120k",
            "ENABLE mysite",
            "CREATE SERVICE admin",
            "SET role = management",
            "SET listen = 127.0.0.1:60000",
            "ENABLE admin",
        )
