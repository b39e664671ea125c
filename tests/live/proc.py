"""What the kernel says of a process: memory, processor time, descriptors; and waiting for stillness."""

import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["cpu_s", "descriptors", "rss_bytes", "settles"]

PAGE_BYTES = 4096


def rss_bytes(pid: int) -> int:
    """Return the resident memory of *pid*."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def cpu_s(pid: int) -> float:
    """Return the processor time that the main thread of *pid* has used, exact to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) * 1e-9


def descriptors(pid: int) -> int:
    """Return how many files *pid* has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def settles(value: Callable[[], int], *, still_s: float = 0.4, within_s: float = 20.0) -> int:
    """Return *value()* once it has not changed for *still_s*."""
    deadline = time.monotonic() + within_s
    last, since = value(), time.monotonic()
    while time.monotonic() - since < still_s:
        assert time.monotonic() < deadline, f"still changing: {last}"
        time.sleep(0.02)
        if (now := value()) != last:
            last, since = now, time.monotonic()
    return last
