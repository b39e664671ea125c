"""The figures: what one round measures of one proxy, and what is asked of wsgistack.

A measurement is ``measure(rig, peer, plan) -> {quantity: value}``.  The proxy is started anew for each
round and the proxies take turns, so that luck of memory layout and a machine that slows down are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.peers import Peer
from bench.rig import BenchError, Load, Proxy, Rig, Target, Window
from bench.usage import kernel_memory, machine_cpu_s, read_cpu, read_memory

__all__ = ["FIGURES", "Figure", "NotMeasured", "Plan", "Sample", "half_load"]

GIB = 1 << 30
SMALL = Target("/small", 7)  # 130 bytes on the wire, head and body
TEN_K = Target("/10k", 10_000)
Sample = Mapping[str, float]


class NotMeasured(BenchError):
    """This proxy has no such figure; the message is shown in its place."""


@dataclass(slots=True)
class Plan:
    """How long and how large; `--quick` shrinks it."""

    rounds: int = 5
    seconds: float = 3.0  # of one measured window
    warm_s: float = 0.7
    gib: int = 4  # of one large download
    idle: int = 10_000  # connections
    idle_warm: int = 32
    half_rate: float | None = None  # requests/s of the p99 figure, once known
    too_slow: frozenset[str] = field(default_factory=frozenset)  # cannot serve half_rate


@dataclass(frozen=True, slots=True)
class Figure:
    """One table of the result."""

    name: str
    title: str
    unit: str  # of `main`
    main: str  # the quantity that is compared; lower is better
    columns: Sequence[tuple[str, str]]  # (quantity, heading)
    measure: Callable[[Rig, Peer, Plan], Sample]
    at_most: Mapping[str, float] = field(default_factory=dict)  # of wsgistack, as a ratio to that peer
    limit: float | None = None  # of wsgistack, in the unit of `main`
    times: int = 1  # as many rounds as the other figures have


def run_window(rig: Rig, proxy: Proxy, load: Load) -> tuple[Window, Sample]:
    """Run one window; return it with the CPU that the proxy spent between "go" and the last response.

    "others" is what neither the proxy nor the benchmark spent, as a percentage of one core.
    """
    ours = (proxy.pid, load.pid, rig.origin_pid)
    before, machine_before = [read_cpu(pid) for pid in ours], machine_cpu_s()
    window = load.go()
    spent = [read_cpu(pid).since(earlier) for pid, earlier in zip(ours, before, strict=True)]
    others_s = machine_cpu_s() - machine_before - sum(cpu.total_s for cpu in spent)
    cpu = spent[0]
    if any(window.errors.values()) or not window.responses:
        raise BenchError(f"{proxy.peer.name}: {window.responses} responses, errors {window.errors}")
    return window, {
        "user": cpu.user_s,
        "system": cpu.system_s,
        "total": cpu.total_s,
        "busy": 100 * cpu.total_s / window.seconds,
        "others": max(0.0, 100 * others_s / window.seconds),
        "rps": window.responses / window.seconds,
        "exact": float(cpu.exact),
    }


def cpu_per_request(target: Target, connections: int) -> Callable[[Rig, Peer, Plan], Sample]:
    """Return a measurement in µs per proxied request, closed loop."""

    def measure(rig: Rig, peer: Peer, plan: Plan) -> Sample:
        options: dict[str, float | str] = {
            "connections": connections,
            "seconds": plan.seconds,
            "warm": plan.warm_s,
        }
        with rig.proxy(peer) as proxy, rig.load(proxy.port, target, options) as load:
            window, sample = run_window(rig, proxy, load)
        per_request = {key: sample[key] * 1e6 / window.responses for key in ("user", "system", "total")}
        return {**sample, **per_request, "reopened": window.reopened}

    return measure


def cpu_per_gib(rig: Rig, peer: Peer, plan: Plan) -> Sample:
    """CPU seconds per GiB of one large download."""
    gib = max(1, plan.gib // 4) if peer.name == "perlbal" else plan.gib
    size = gib * GIB
    options: dict[str, float | str] = {"connections": 1, "seconds": 120.0, "requests": 1}
    options |= {"greet": SMALL[0], "greet_length": SMALL[1]}
    with (
        rig.proxy(peer, splice=True) as proxy,
        rig.load(proxy.port, Target(f"/big/{size}", size), options) as load,
    ):
        window, sample = run_window(rig, proxy, load)
    per_gib = {key: sample[key] / gib for key in ("user", "system", "total")}
    return {**sample, **per_gib, "gib_s": gib / window.seconds}


def idle_memory(rig: Rig, peer: Peer, plan: Plan) -> Sample:
    """Bytes per idle keep-alive connection, each having made one request.

    The reading before is taken after some connections came and went, so that what a proxy allocates
    once is not counted; the reading after is believed only if every connection still answers then.
    """
    with rig.proxy(peer) as proxy:
        with rig.load(proxy.port, SMALL, {"connections": plan.idle_warm, "warm": 0.3}):
            pass
        before, kernel_before = read_memory(proxy.pid), kernel_memory()
        options: dict[str, float | str] = {
            "connections": plan.idle,
            "requests": plan.idle,
            "seconds": 30.0,
            "at_once": plan.idle_warm,
        }
        with rig.load(proxy.port, SMALL, options) as load:
            after, kernel_after = read_memory(proxy.pid), kernel_memory()
            window = load.go()
    if window.responses != plan.idle or window.reopened or any(window.errors.values()):
        raise BenchError(f"{peer.name}: {window.responses} of {plan.idle} still answer, {window.errors}")
    return {
        "rss": (after.rss - before.rss) / plan.idle,
        "pss": (after.pss - before.pss) / plan.idle,
        "kernel": (kernel_after - kernel_before) / plan.idle,
        "base": before.rss / (1 << 20),
    }


def half_load(rig: Rig, peers: Sequence[Peer], plan: Plan) -> None:
    """Set the rate of the p99 figure: half of what the slowest of wsgistack and nginx can do.

    Who cannot serve that rate with a tenth to spare is noted as too slow.
    """
    top = {}
    for peer in peers:
        rates = []
        for _ in range(3):
            with (
                rig.proxy(peer) as proxy,
                rig.load(proxy.port, SMALL, {"seconds": min(1.0, plan.seconds), "warm": 0.3}) as load,
            ):
                rates.append(run_window(rig, proxy, load)[1]["rps"])
        top[peer.name] = max(rates)  # the median would be what other processes left us
    judges = [top[name] for name in ("wsgistack", "nginx") if name in top] or list(top.values())
    plan.half_rate = round(min(judges) / 2, -2)
    plan.too_slow = frozenset(name for name, rate in top.items() if rate * 0.9 < plan.half_rate)


def paced_latency(rig: Rig, peer: Peer, plan: Plan) -> Sample:
    """Latency in µs at the rate of half_load, from the instant at which each request was due."""
    if peer.name in plan.too_slow or not plan.half_rate:
        raise NotMeasured(f"cannot serve {plan.half_rate:,.0f} requests/s")
    options: dict[str, float | str] = {
        "connections": 32,
        "seconds": plan.seconds,
        "warm": 0.3,
        "rate": plan.half_rate,
    }
    with rig.proxy(peer) as proxy, rig.load(proxy.port, SMALL, options) as load:
        window, sample = run_window(rig, proxy, load)
    return {
        **sample,
        "p50": window.p50_us,
        "p99": window.p99_us,
        "p999": window.p999_us,
        "total": sample["total"] * 1e6 / window.responses,
    }


def scaling(rig: Rig, peer: Peer, plan: Plan) -> Sample:
    """Requests/s with one and with two workers, nothing pinned."""
    if peer.workers_max < 2:
        raise NotMeasured("has no workers")
    rates, loose = {}, rig.unpinned()
    for workers in (1, 2):
        options: dict[str, float | str] = {"connections": 128, "seconds": plan.seconds, "warm": plan.warm_s}
        with (
            loose.proxy(peer, workers=workers) as proxy,
            loose.load(proxy.port, SMALL, options) as load,
        ):
            rates[workers] = run_window(rig, proxy, load)[1]
    return {
        "one": rates[1]["rps"],
        "two": rates[2]["rps"],
        "ratio": rates[2]["rps"] / rates[1]["rps"],
        "busy": rates[2]["busy"],
        "others": rates[2]["others"],
    }


CPU_COLUMNS = (
    ("user", "user µs"),
    ("system", "system µs"),
    ("total", "total µs"),
    ("rps", "requests/s"),
    ("busy", "busy %"),
)
EVERYBODY = {"nginx": 1.0, "haproxy": 1.0, "perlbal": 0.1}


def _cpu_figure(
    name: str, size: str, target: Target, connections: int, at_most: Mapping[str, float]
) -> Figure:
    title = f"CPU per request, {size} responses, {connections:,} connections"
    return Figure(
        name, title, "µs", "total", CPU_COLUMNS, cpu_per_request(target, connections), at_most=at_most
    )


FIGURES = {
    figure.name: figure
    for figure in (
        _cpu_figure("small", "130-byte", SMALL, 32, EVERYBODY),
        _cpu_figure("10k", "10-kB", TEN_K, 32, EVERYBODY),
        _cpu_figure("c1000", "130-byte", SMALL, 1000, {"nginx": 1.1}),
        _cpu_figure("c1000-10k", "10-kB", TEN_K, 1000, {"nginx": 1.1}),
        Figure(
            name="big",
            title="CPU per GiB of a large download",
            unit="s",
            main="total",
            columns=(
                ("user", "user s"),
                ("system", "system s"),
                ("total", "total s"),
                ("gib_s", "GiB/s"),
                ("busy", "busy %"),
            ),
            measure=cpu_per_gib,
            at_most={"haproxy": 1.1},
        ),
        Figure(
            name="idle",
            title="Memory per idle keep-alive connection",
            unit="bytes",
            main="rss",
            columns=(
                ("rss", "RSS bytes"),
                ("pss", "PSS bytes"),
                ("kernel", "kernel bytes, both ends"),
                ("base", "RSS before, MiB"),
            ),
            measure=idle_memory,
            limit=4096,
        ),
        Figure(
            name="p99",
            title="Latency at half load",
            unit="µs",
            main="p99",
            columns=(
                ("p50", "p50 µs"),
                ("p99", "p99 µs"),
                ("p999", "p99.9 µs"),
                ("total", "CPU µs/request"),
                ("busy", "busy %"),
            ),
            measure=paced_latency,
            at_most={"nginx": 1.2},
            times=3,  # one foreign process that wakes up decides the p99 of a round
        ),
        Figure(
            name="scale",
            title="Requests per second with two workers and with one",
            unit="times",
            main="ratio",
            columns=(
                ("one", "1 worker"),
                ("two", "2 workers"),
                ("ratio", "ratio"),
                ("busy", "busy %, 2 workers"),
            ),
            measure=scaling,
        ),
    )
}
