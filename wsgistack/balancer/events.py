"""The log: one line an event on stderr, `time level event key=value ...`.

>>> line("node_failed", {"node": "127.0.0.1:8001", "error": "Connection refused"}, at=0.0, level="warn")
'1970-01-01T00:00:00.000Z warn node_failed node=127.0.0.1:8001 error="Connection refused"'
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

__all__ = ["Log", "Throttle", "Writer", "find_place", "line"]

PLAIN = re.compile(r"[!#-\[\]-~]+")  # ASCII without blanks, quotes and backslashes
MOST_A_SECOND = 20  # lines of one kind
LONGEST_VALUE = 500  # characters; some come from the network
MOST_WAITING = 10_000  # lines, when whoever reads stderr does not
FLUSH_TIMEOUT_S = 1.0

Key = tuple[object, ...]


def line(event: str, fields: Mapping[str, object], *, at: float, level: str) -> str:
    """Return the line of *event* at *at* (epoch seconds), without its end; None fields are left out."""
    stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    words = [f"{key}={_show(value)}" for key, value in fields.items() if value is not None]
    return " ".join([stamp, level, event, *words])


def _show(value: object) -> str:
    text = str(value)[:LONGEST_VALUE]
    # Quoted as JSON, in ASCII: no value can end its line and forge the next.
    return text if PLAIN.fullmatch(text) else json.dumps(text)


def find_place(error: BaseException) -> str:
    """Return `file:line` where an exception was raised, "" for one that never was."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""


class Throttle:
    """Admits MOST_A_SECOND lines of a kind in any second of the clock, and counts the others."""

    def __init__(self) -> None:
        self._second = 0
        self._counts: dict[Key, int] = {}

    def admit(self, key: Key) -> bool:
        """Tell whether one more line of the kind *key* may be written in this second."""
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key] <= MOST_A_SECOND

    def settle(self, now: float) -> dict[Key, int]:
        """Return how many lines of which kinds were held back in a second that is over by now."""
        if int(now) == self._second:
            return {}
        self._second = int(now)
        held = {key: n - MOST_A_SECOND for key, n in self._counts.items() if n > MOST_A_SECOND}
        self._counts.clear()
        return held


class Log:
    """Where events go; *write* takes one line and must not block, *clock* gives epoch seconds."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.time) -> None:
        self._write = write
        self._clock = clock
        self._throttle = Throttle()

    def info(self, event: str, /, **fields: object) -> None:
        """Something happened that an operator wants to see."""
        self._put("info", event, fields)

    def warn(self, event: str, /, **fields: object) -> None:
        """Something went wrong, and it goes on."""
        self._put("warn", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Something went wrong that asks for the operator."""
        self._put("error", event, fields)

    def plane(self, event: Mapping[str, object]) -> None:
        """Write an event of a worker's data plane, unless its kind floods the log."""
        self.settle()
        name = str(event.get("event", "unnamed"))
        key = (name, *(event.get(part) for part in ("service", "reason", "node", "phase")))
        if self._throttle.admit(key):
            hidden = ("type", "event")
            self._put("warn", name, {key: value for key, value in event.items() if key not in hidden})

    def often(self, event: str, /, **fields: object) -> None:
        """Something went wrong that anybody may cause again and again: as `warn`, but throttled."""
        self.plane({"event": event, **fields})

    def settle(self) -> None:
        """Say what was held back in seconds that are over; call it about once a second."""
        for (name, service, reason, node, phase), held in self._throttle.settle(self._clock()).items():
            fields = {"service": service, "reason": reason, "node": node, "phase": phase, "suppressed": held}
            self._put("warn", str(name), fields)

    def _put(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        self._write(line(event, fields, at=self._clock(), level=level))


class Writer:
    """A `write` for Log that never blocks: a thread writes, and counts what did not fit.

    The thread is there with the first line: until then the process may be forked.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._lost = 0
        self._thread: threading.Thread | None = None

    def __call__(self, text: str) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, for a second at most."""
        if self._thread is None:
            return
        try:
            self._lines.put(None, timeout=FLUSH_TIMEOUT_S)
        except queue.Full:
            return
        self._thread.join(FLUSH_TIMEOUT_S)

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            if self._lost:
                lost, self._lost = self._lost, 0
                text += f"\n{line('lines_lost', {'count': lost}, at=time.time(), level='warn')}"
            data = f"{text}\n".encode()
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                self._lost += 1  # the reader is gone; whoever reads again learns of it
