"""What is done to the nodes and to the balancer, and what its visitors must not notice.

Each trial gets a sound site under load and leaves a sound one; what it returns are findings.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from bench.chaos.load import CLIENTS, Load
from bench.chaos.site import CHECK_S, NAMES, TRY_S, NodeProcess, Site, until
from bench.usage import process_tree

__all__ = ["BALANCER_TRIALS", "NODE_TRIALS", "Finding", "Trial", "Window"]

NOISE_S = 0.5  # what a busy machine may add to a time
EJECTED_S = 2.0
SHARE_MOST = 0.02
GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure beside its target; *met* None: there is no target."""

    event: str
    what: str
    measured: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """How long a trial looks on, in seconds."""

    damage: float
    after: float


Trial = Callable[[Site, Load, Window], list[Finding]]


def _no_failed_gets(event: str, load: Load, since: float) -> Finding:
    gets = load.gets(since)
    failed = [one for one in gets if one.failed]
    causes = Counter(str(one.status or one.why) for one in failed)
    shown = f"{len(failed)} of {len(gets)}" + (f" ({dict(causes)})" if failed else "")
    return Finding(event, "failed idempotent requests", shown, "0", not failed and len(gets) > 0)


def _bad_node(load: Load) -> str:
    # The one that is asked most, so that there is something to be missed.
    counts = Counter(one.node for one in load.gets(time.monotonic() - 1.0) if one.node)
    return counts.most_common(1)[0][0] if counts else NAMES[1]


def _share(load: Load, node: str, since: float, until_: float) -> float:
    gets = [one for one in load.gets(since, until_) if one.node]
    return sum(one.node == node for one in gets) / max(len(gets), 1)


def _back(event: str, load: Load, node: NodeProcess, since: float, window: Window) -> list[Finding]:
    """Return how soon the node gets traffic again, and whether its share grows."""
    first = load.wait_for(lambda one: one.node == node.name, since=since, within_s=10.0)
    if first is None:
        return [Finding(event, "traffic again", "not within 10 s", f"{2 * CHECK_S:g} s", False)]
    gevent.sleep(window.after)
    end = time.monotonic()
    early = _share(load, node.name, first, first + 0.5)
    late = _share(load, node.name, end - 1.0, end)
    return [
        Finding(event, "traffic again after", f"{first - since:.2f} s", f"{2 * CHECK_S:g} s",
                first - since <= 2 * CHECK_S + NOISE_S),
        Finding(event, "share in its first 0.5 s, and later", f"{early:.0%}, {late:.0%}", "it grows", early < late),
    ]  # fmt: skip


def kill_a_node(site: Site, load: Load, window: Window) -> list[Finding]:
    """Kill -9, then start it again."""
    event = "kill -9 of 1 of 3 nodes"
    node = site.nodes[_bad_node(load)]
    began = time.monotonic()
    node.signal(signal.SIGKILL)
    gevent.sleep(window.damage)
    findings = [_no_failed_gets(event, load, began)]
    node.start()
    return findings + _back("the node returns", load, node, time.monotonic(), window)


def refuse(site: Site, load: Load, window: Window) -> list[Finding]:
    """Close its port, and reset what is asked on connections that stand."""
    return _misbehave(site, load, window, "refuse", "refused connections")


def reset_within_heads(site: Site, load: Load, window: Window) -> list[Finding]:
    """Send half a head, then a reset."""
    return _misbehave(site, load, window, "half", "reset mid-headers")


def _misbehave(site: Site, load: Load, window: Window, mode: str, event: str) -> list[Finding]:
    node = site.nodes[_bad_node(load)]
    began = time.monotonic()
    node.become(mode)
    gevent.sleep(window.damage)
    node.become("ok")
    findings = [_no_failed_gets(event, load, began)]
    load.wait_for(lambda one: one.node == node.name, since=time.monotonic(), within_s=10.0)
    return findings


def stop_a_node(site: Site, load: Load, window: Window) -> list[Finding]:
    """SIGSTOP: it accepts, and says nothing."""
    event = "SIGSTOP of a node"
    node = site.nodes[_bad_node(load)]
    began = time.monotonic()
    node.signal(signal.SIGSTOP)
    gevent.sleep(window.damage + TRY_S)
    end = time.monotonic()
    findings = [_no_failed_gets(event, load, began)]
    slow = [one for one in load.gets(began - TRY_S, end) if one.took > 0.9 * TRY_S]
    slowest = max((one.took for one in slow), default=0.0)
    detected = min((one.ended for one in slow), default=end)
    again = [one for one in slow if one.began > detected + 0.1]
    node.signal(signal.SIGCONT)
    limit = TRY_S + NOISE_S
    findings.append(
        Finding(event, "slowest idempotent request", f"{slowest:.2f} s", f"{limit:g} s", slowest <= limit)
    )
    findings.append(
        Finding(event, "requests sent to it after the first detection", str(len(again)), "0", not again)
    )
    load.wait_for(lambda one: one.node == node.name, since=time.monotonic(), within_s=10.0)
    return findings


def answer_500(site: Site, load: Load, window: Window) -> list[Finding]:
    """It answers 500 to all but health checks."""
    return _eject(site, load, window, "error", "a node answering 500s")


def be_slow(site: Site, load: Load, window: Window) -> list[Finding]:
    """It takes ten times as long for all but health checks."""
    return _eject(site, load, window, "slow", "a node 10 x slower")


def _eject(site: Site, load: Load, window: Window, mode: str, event: str) -> list[Finding]:
    node = site.nodes[_bad_node(load)]
    began = time.monotonic()
    node.become(mode)
    gevent.sleep(EJECTED_S + window.damage)
    end = time.monotonic()
    share = _share(load, node.name, began + EJECTED_S, end)
    quiet = _quiet_after(load, node.name, began, end)
    node.become("ok")
    target = f"ejected within {EJECTED_S:g} s"
    findings = [
        Finding(event, "share fell below 2 % after", f"{quiet:.1f} s", target, quiet <= EJECTED_S + NOISE_S),
        Finding(event, "its share after that", f"{share:.1%}", f"below {SHARE_MOST:.0%}", share < SHARE_MOST),
    ]
    if mode == "error":
        bad = sum(one.status == 500 for one in load.gets(began, end))
        findings.append(Finding(event, "500s that visitors saw", str(bad)))
    load.wait_for(lambda one: one.node == node.name, since=time.monotonic() + 1.0, within_s=20.0)
    return findings


def _quiet_after(load: Load, node: str, began: float, end: float) -> float:
    """Return after how many seconds its share of each further half second stays below the bound."""
    step = 0.5
    at = began
    last = began
    while at + step <= end:
        if _share(load, node, at, at + step) >= SHARE_MOST:
            last = at + step
        at += step
    # A node that is let in on trial gets a few requests: the mean over the rest is what counts.
    while last - began > step and _share(load, node, last - step, end) < SHARE_MOST:
        last -= step
    return last - began


def kill_all(site: Site, load: Load, window: Window) -> list[Finding]:
    """All nodes die, and come back."""
    event = "all nodes dead"
    for node in site.nodes.values():
        node.signal(signal.SIGKILL)
    gevent.sleep(3 * CHECK_S)  # until health knows
    began = time.monotonic()
    gevent.sleep(window.damage)
    end = time.monotonic()
    answers = [one for one in load.seen if began <= one.began < end]
    statuses = Counter(one.status for one in answers)
    slowest = max((one.took for one in answers), default=99.0)
    first_node, *others = site.nodes.values()
    first_node.start()
    back = time.monotonic()
    first = load.wait_for(lambda one: one.status == 200, since=end, within_s=10.0)
    since = max(first - back, 0.0) if first else 99.0
    for node in others:
        node.start()
    gevent.sleep(1.0)
    return [
        Finding(event, "answers", str(dict(statuses)), "503", set(statuses) == {503}),
        Finding(event, "slowest answer", f"{slowest:.3f} s", "at once", slowest < NOISE_S),
        Finding("and back", "first success", f"{since:.2f} s", f"{CHECK_S:g} s", since <= CHECK_S + NOISE_S),
    ]


# -- the balancer itself -------------------------------------------------------------------


def _nothing_failed(event: str, load: Load, since: float) -> Finding:
    seen = [one for one in load.seen if one.ended >= since]
    failed = [one for one in seen if one.failed]
    causes = Counter(f"{one.method} {one.status or one.why}" for one in failed)
    shown = f"{len(failed)} of {len(seen)}" + (f" ({dict(causes)})" if failed else "")
    return Finding(event, "failed requests", shown, "0", not failed and len(seen) > 0)


def reload(site: Site, load: Load, window: Window) -> list[Finding]:
    """SIGHUP, again and again."""
    began = time.monotonic()
    for _ in range(5):
        os.kill(site.pid, signal.SIGHUP)
        gevent.sleep(window.damage / 5)
    return [_nothing_failed("reload", load, began)]


def kill_a_worker(site: Site, load: Load, window: Window) -> list[Finding]:
    """SIGKILL of one of two workers: what it had in flight is lost, and nothing else."""
    event = "a worker killed with SIGKILL"
    began = time.monotonic()
    worker = max(process_tree(site.pid))
    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    gevent.sleep(window.damage)
    failed = [one for one in load.seen if one.ended >= began and one.failed]
    late = [one for one in failed if one.began > killed + NOISE_S]
    return [
        Finding(
            event,
            "failed requests",
            str(len(failed)),
            f"in flight, at most {CLIENTS}",
            len(failed) <= CLIENTS,
        ),
        Finding(event, "of them begun after it", str(len(late)), "0", not late),
    ]


def upgrade(site: Site, load: Load, window: Window) -> list[Finding]:
    """SIGUSR2: a new program takes the sockets over."""
    event = "upgrade"
    began = time.monotonic()
    before = site.pid
    os.kill(before, signal.SIGUSR2)
    until(lambda: site.pid != before, "expected another process in charge", GRACE_S)
    gevent.sleep(window.damage)
    return [_nothing_failed(event, load, began)]


def shut_down(site: Site, load: Load, window: Window) -> list[Finding]:
    """SIGTERM: what runs is finished; connections that are refused afterwards are no failure."""
    began = time.monotonic()
    load.closing = True
    os.kill(site.pid, signal.SIGTERM)
    gevent.sleep(window.damage)
    load.stop()
    return [_nothing_failed("graceful shutdown", load, began)]


NODE_TRIALS: list[Trial] = [
    kill_a_node, refuse, reset_within_heads, stop_a_node, answer_500, be_slow, kill_all,
]  # fmt: skip
BALANCER_TRIALS: list[Trial] = [reload, kill_a_worker, upgrade, shut_down]
