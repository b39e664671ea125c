"""What is done to a WSGI server under load, and what its visitors and its counts lose by it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count

from tests.conftest import PATIENT_URL
from tests.servers.plain import LIMIT
from tests.servers.serving import Served, Server
from tools.real_memcached import listening
from tools.server_load import CLIENT, Load, ask_limited

__all__ = ["SITES", "Loss", "Trial", "try_memcached", "try_server"]

SITES = {"bare": "tests.servers.plain:application", "wrapped": "tests.servers.full:application"}
WARM_S = 0.7
AT_ONCE_S = 0.5  # what begins so long after a kill was not on the worker that died
SETTLE_S = 30.0  # in which all workers are there again, on a busy machine too
TOLD_S = 3.0  # in which what was answered is told: a worker that is idle brings its counts after a second
ENDS_S = 30.0
AWAY_S = 1.5
ASKED = 3 * LIMIT
_clients = (f"10.2.{number // 250}.{number % 250 + 1}" for number in count())


@dataclass
class Loss:
    """What an event cost: *failed* requests, *late* ones that began well after it, and *why*.

    *is_back*: all workers answer again.  *told*: answered requests that stand in neither log, metrics nor
    metering, by place; empty where nothing tells.
    """

    failed: int = 0
    late: int = 0
    why: Counter[str] = field(default_factory=Counter)
    is_back: bool = True
    told: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.why.most_common(2))
        return (
            f"{self.failed}" + (f" ({reasons})" if reasons else "") + ("" if self.is_back else ", not back")
        )


@dataclass
class Trial:
    """What came out of one server with one site; None where there is no such event."""

    kill: Loss | None = None
    reload: Loss | None = None
    limits: list[str] = field(default_factory=list)  # where one admitted what it must not
    ends: str = ""
    trouble: str = ""
    said: str = ""  # by the server that made trouble


class _Room:
    """A server under load, with what asks whether its limit is exact."""

    def __init__(self, served: Served, load: Load, *, is_wrapped: bool) -> None:
        self.served = served
        self.load = load
        self.is_wrapped = is_wrapped
        self.trial = Trial()
        self._first = next(_clients)

    def use_up(self) -> None:
        """Let the first client use up his hour."""
        self.check("before", self._first)

    def check(self, when: str, client: str = "") -> None:
        """Ask as somebody new, several at once; tell the trial what is admitted wrongly."""
        seen = ask_limited(self.served.port, client or next(_clients), ASKED)
        admitted, failed = (sum(one.status == status for one in seen) for status in (200, 0))
        # What failed may have been admitted before it did.
        if self.is_wrapped and not LIMIT - failed <= admitted <= LIMIT:
            self.trial.limits.append(f"{when}: {admitted} of {LIMIT} admitted, {failed} failed")

    def check_first(self, when: str) -> None:
        """Ask as the first client, whom nothing is left for this hour."""
        admitted = sum(one.status == 200 for one in ask_limited(self.served.port, self._first, LIMIT))
        if self.is_wrapped and admitted:
            self.trial.limits.append(f"{when}: {admitted} more of a client whose hour was used up")

    def meet(self, event: Callable[[], object], name: str) -> float:
        """Let *event* happen while a limit is asked; return when it began."""
        with ThreadPoolExecutor(1) as meanwhile:
            asked = meanwhile.submit(self.check, f"in the middle of {name}")
            began = time.monotonic()
            event()
            asked.result()
        return began

    def judge(self, name: str, began: float, late: float, *, is_back: bool) -> Loss:
        """Return what was lost since *began*."""
        self.load.hold()
        failed = [one for one in self.load.seen if one.ended >= began and one.failed]
        why = Counter(one.why or str(one.status) for one in failed)
        loss = Loss(len(failed), sum(one.began > late for one in failed), why, is_back)
        if is_back and self.is_wrapped:
            loss.told = self._untold(began)
        self.load.go_on()
        if is_back:
            self.check(f"after {name}")
            self.check_first(f"after {name}")
        return loss

    def _untold(self, began: float) -> dict[str, int]:
        """Return how many of all that were answered are told nowhere, less what was missing before."""
        answered = {one.ident for one in self.load.seen if not one.failed}
        missing: dict[str, int] = {}

        def is_all_told() -> bool:
            lines = (self.served.folder / "access.log").read_text().splitlines()
            missing["log"] = len(answered - {json.loads(line)["request_id"] for line in lines})
            page = self.served.ask("/metrics").body.decode()
            found = re.search(r'requests_total{method="PUT",status="200"} (\d+)', page)
            missing["metrics"] = len(answered) - (int(found[1]) if found else 0)
            rows = csv.DictReader(self.served.ask("/usage?format=csv").body.decode().splitlines())
            missing["metering"] = len(answered) - sum(int(row["2xx"]) for row in rows if row["key"] == CLIENT)
            return all(number <= before.get(name, 0) for name, number in missing.items())

        before = self.trial.kill.told if self.trial.kill else {}
        until(is_all_told, TOLD_S)
        # A request that failed may have been counted all the same.
        return {name: max(number - before.get(name, 0), 0) for name, number in missing.items()}


def try_server(server: Server, dress: str) -> Trial:
    """Kill a worker of *server*, reload it and end it, while it is asked."""
    try:
        served = Served(server, SITES[dress], "/page")
    except AssertionError as error:
        return Trial(trouble="it does not start", said=str(error))
    room = _Room(served, Load(served.port, dress), is_wrapped=dress == "wrapped")
    trial = room.trial
    try:
        with room.load:
            if not until(lambda: len(room.load.workers(0.0)) == server.processes):
                trial.trouble = "not all workers answer"
            room.use_up()
            if server.processes > 1:
                trial.kill = _kill(room)
                if trial.kill.is_back:
                    trial.reload = _reload(room)
            room.check("at the end")
            trial.ends = _end(served)
    finally:
        said = served.remove()
    trial.said = said if trial.trouble else ""
    return trial


def _kill(room: _Room) -> Loss:
    time.sleep(WARM_S)
    victim = max(room.load.workers(time.monotonic() - WARM_S), key=int)
    began = room.meet(lambda: os.kill(int(victim), signal.SIGKILL), "a kill")
    time.sleep(max(began + AT_ONCE_S - time.monotonic(), 0))
    late = time.monotonic()
    is_back = _wait_for_workers(room, late, {victim})
    return room.judge("a kill", began, began + AT_ONCE_S, is_back=is_back)


def _reload(room: _Room) -> Loss:
    time.sleep(WARM_S)
    process = room.served.process
    before = room.load.workers(time.monotonic() - WARM_S)
    began = room.meet(lambda: process.send_signal(room.served.server.reload), "a reload")
    is_back = _wait_for_workers(room, began, before)
    time.sleep(AT_ONCE_S)
    return room.judge("a reload", began, began, is_back=is_back)


def _wait_for_workers(room: _Room, since: float, gone: set[str]) -> bool:
    """Wait until all workers answer, and none that is to be gone; False where that does not come."""
    process, processes = room.served.process, room.served.server.processes

    def are_there() -> bool:
        now = room.load.workers(max(since, time.monotonic() - WARM_S))
        return process.poll() is not None or (len(now) >= processes and not now & gone)

    return until(are_there) and process.poll() is None


def _end(served: Served) -> str:
    """Ask the server to leave while it is asked; return after how long it did."""
    if served.process.poll() is not None:
        return "had ended"
    began = time.monotonic()
    served.process.send_signal(served.server.end)
    try:
        status = served.process.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        return "stayed"
    return f"{time.monotonic() - began:.1f} s" + (f", status {status}" if status else "")


def try_memcached(server: Server) -> Trial:
    """Kill the memcached over which the workers of *server* share, and start it again, while they are asked.

    What comes out stands as a kill.
    """
    with listening("-l", "127.0.0.1", "-p", "-1") as first:
        try:
            served = Served(
                replace(server, store=f"memcached://{first.address}{PATIENT_URL}"), SITES["wrapped"], "/page"
            )
        except AssertionError as error:
            return Trial(trouble="it does not start", said=str(error))
        room = _Room(served, Load(served.port, "memcached"), is_wrapped=True)
        try:
            with room.load:
                until(lambda: len(room.load.workers(0.0)) == server.processes)
                room.check("before")
                began = time.monotonic()
                first.kill()
                time.sleep(AWAY_S)
                with listening("-l", "127.0.0.1", "-p", str(first.port)):
                    is_back = until(lambda: _is_exact_for_long(room))
                    loss = room.judge("memcached", began, began, is_back=is_back)
                    room.trial.kill = replace(loss, told={})
                    room.trial.limits = [text for text in room.trial.limits if "used up" not in text]
                    room.trial.ends = _end(served)
        finally:
            served.remove()
    return room.trial


def _is_exact_for_long(room: _Room) -> bool:
    """Tell whether a limit stays exact for AWAY_S: a single process is, too, while it counts for itself."""
    limit = time.monotonic() + AWAY_S
    while time.monotonic() < limit:
        seen = ask_limited(room.served.port, next(_clients), ASKED)
        if sum(one.status == 200 for one in seen) != LIMIT:
            return False
    return True


def until(is_so: Callable[[], bool], within_s: float = SETTLE_S) -> bool:
    """Wait until *is_so()*; return whether it came true in time."""
    limit = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
