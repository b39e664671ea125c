"""What a tree of processes has cost: CPU time and memory, read from /proc.

Totals of CPU time come from ``/proc/PID/task/*/schedstat`` (nanoseconds, exact while the thread
rests) and are split into user and system by the ticks of ``/proc/PID/stat`` (10 ms each).  Where
schedstat is empty, or a thread ended in between and took its nanoseconds along, ticks serve for both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Cpu",
    "CpuReading",
    "Memory",
    "kernel_memory",
    "machine_cpu_s",
    "process_tree",
    "read_cpu",
    "read_memory",
]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds spent between two readings."""

    user_s: float
    system_s: float
    exact: bool  # the total is from schedstat

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Running totals of a tree of processes at one instant."""

    threads_ns: dict[int, int]
    user_ticks: int
    system_ticks: int

    def since(self, before: CpuReading) -> Cpu:
        """Return what was spent since the reading *before* of the same tree."""
        user = (self.user_ticks - before.user_ticks) * TICK_S
        system = (self.system_ticks - before.system_ticks) * TICK_S
        total = (sum(self.threads_ns.values()) - sum(before.threads_ns.values())) / 1e9
        if total <= 0 or not before.threads_ns.keys() <= self.threads_ns.keys():
            return Cpu(user, system, exact=False)
        share = user / (user + system) if user + system else 0.5
        return Cpu(total * share, total * (1 - share), exact=True)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of user space: resident, and resident with shared pages divided among their users."""

    rss: int
    pss: int


def process_tree(pid: int) -> list[int]:
    """Return *pid* and all its living descendants, parents first."""
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    tree = [pid]
    for member in tree:  # grows while it is read: breadth first
        tree.extend(children.get(member, []))
    return tree


def read_cpu(pid: int) -> CpuReading:
    """Return the running totals of *pid*, its descendants, and the children that they buried."""
    threads: dict[int, int] = {}
    user = system = 0
    for member in process_tree(pid):
        if fields := _stat(member):
            utime, stime, cutime, cstime = map(int, fields[11:15])
            user += utime + cutime
            system += stime + cstime
        threads.update(_threads_ns(member))
    return CpuReading(threads, user, system)


def read_memory(pid: int) -> Memory:
    """Return the memory of *pid* and its descendants together."""
    rss = pss = 0
    for member in process_tree(pid):
        for line in (PROC / str(member) / "smaps_rollup").read_text().splitlines()[1:]:
            name, _, rest = line.partition(":")
            rss += _kib(rest) if name == "Rss" else 0
            pss += _kib(rest) if name == "Pss" else 0
    return Memory(rss, pss)


def kernel_memory() -> int:
    """Return the bytes of slabs that cannot be reclaimed and of TCP buffers, of the whole machine.

    Sockets, their epoll entries and descriptors live in slabs; both ends of a loopback connection
    and everything else that runs are in this number, so only large differences say something.
    """
    slab = next(
        _kib(line.partition(":")[2])
        for line in (PROC / "meminfo").read_text().splitlines()
        if line.startswith("SUnreclaim:")
    )
    tcp = next(
        line.split() for line in (PROC / "net/sockstat").read_text().splitlines() if line.startswith("TCP:")
    )
    return slab + int(tcp[tcp.index("mem") + 1]) * PAGE


def machine_cpu_s() -> float:
    """Return the CPU seconds that all cores together have spent on anything, in ticks of 10 ms."""
    user, nice, system, _idle, _iowait, *rest = map(
        int, (PROC / "stat").read_text().split("\n")[0].split()[1:9]
    )
    return (user + nice + system + sum(rest)) * TICK_S


def _kib(text: str) -> int:
    return int(text.split()[0]) * 1024


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name (state first), None for a dead process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _threads_ns(pid: int) -> dict[int, int]:
    spent: dict[int, int] = {}
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            spent[int(task.name)] = int((task / "schedstat").read_text().split()[0])
    except OSError:
        return spent
    return spent
