"""Everybody's health: what was seen of each node of each pool, and what follows from it for the pool.

health.py decides about one node, ejection.py weighs the nodes of a pool against each other, breaker.py
judges the pool as a whole; here is who remembers, and who tells the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from wsgistack.balancer import ejection
from wsgistack.balancer.breaker import Breaker
from wsgistack.balancer.durations import show_seconds
from wsgistack.balancer.health import TIMED, TRIALS, Happening, NodeHealth, Rules, State
from wsgistack.balancer.health_rules import HealthRules, make_node_rules, make_rules
from wsgistack.balancer.model import News, ProbeResult
from wsgistack.balancer.outside import Outcomes
from wsgistack.balancer.traffic import Delta, Traffic
from wsgistack.settings import Value

__all__ = ["HealthBook", "Members", "Verdict"]

JUDGE_EVERY_S = 0.375  # how often the nodes of a pool are compared
TRICKLE = 16  # a node on trial gets this part of its weight
SLOW_FOR_S = 0.7  # that all comparisons find a node slow: a pause of half a second is no reason

Key = tuple[str, str]
UNKNOWN = NodeHealth()


class Members(NamedTuple):
    """A pool as health sees it: *draining* are those of its addresses that get nothing new."""

    pool: str
    settings: Mapping[str, Value]
    addresses: Collection[str]
    draining: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the snapshot says of a node: may it be picked, on trial only, and since when does it warm up."""

    up: bool
    warm_from: float | None = None
    on_trial: bool = False

    def share_of(self, weight: int, *, some_on_trial: bool) -> int:
        """Return the weight for the plane: weights are whole, so those of the others grow beside a trial."""
        return weight if self.on_trial or not some_on_trial else weight * TRICKLE

    def most_of(self, max_connections: int) -> int:
        """Return the requests in flight that the node may have at once."""
        return 1 if self.on_trial else max_connections


class HealthBook:
    """Health by pool and address, because two pools may check one address in two ways.

    It outlives the membership: a node that is removed and added again is not trusted anew.
    """

    def __init__(self) -> None:
        self._health: dict[Key, NodeHealth] = {}
        self._timed: set[Key] = set()  # those whose state ends by itself
        self._slow: dict[Key, float] = {}  # since when
        self._trials: dict[Key, tuple[int, float]] = {}
        self._breakers: dict[str, Breaker] = {}
        self._moods: dict[str, str] = {}
        self._traffic = Traffic()
        self._is_stirred = False  # something ended since the nodes were last compared
        self._judged_at = float("-inf")
        self._news: list[News] = []

    def get(self, pool: str, address: str) -> NodeHealth:
        """Return what is known of a node; an unknown one is unchecked."""
        return self._health.get((pool, address), UNKNOWN)

    def breaker(self, pool: str) -> Breaker:
        """Return a pool's circuit breaker."""
        return self._breakers.get(pool, Breaker())

    @property
    def is_calm(self) -> bool:
        """Tell whether neither time nor what was seen before may change anything."""
        return not (self._is_stirred or self._timed or self._breakers)

    def export(self) -> list[list[Any]]:
        """Return what is known as JSON, for a successor."""
        return [[pool, address, asdict(health)] for (pool, address), health in self._health.items()]

    def restore(self, exported: Iterable[list[Any]]) -> None:
        """Know again what `export` returned, in another version of us perhaps."""
        known = {one.name for one in fields(NodeHealth)}
        for pool, address, health in exported:
            again = NodeHealth(**{key: value for key, value in health.items() if key in known})
            self._health[pool, address] = again
            if again.state in TIMED:
                self._timed.add((pool, address))

    def forget(self, address: str) -> None:
        """Know nothing of a node any more, in any pool."""
        for key in [key for key in self._health if key[1] == address]:
            self._timed.discard(key)
            del self._health[key]
        self._traffic.forget(address)

    def forget_pool(self, pool: str) -> None:
        """Know nothing of a pool any more."""
        for key in [key for key in self._health if key[0] == pool]:
            self._timed.discard(key)
            del self._health[key]
        self._breakers.pop(pool, None)
        self._moods.pop(pool, None)

    def forget_checks(self, pool: str) -> None:
        """Let the results of checks count no more, because another kind of check begins."""
        for key, health in self._health.items():
            if key[0] == pool:
                self._health[key] = health.without_checks()

    def take_news(self) -> list[News]:
        """Return what the log should tell since the last call, in order."""
        news, self._news = self._news, []
        return news

    # What happened.

    def absorb_check(self, members: Members, fact: ProbeResult, now: float) -> bool:
        """Take in a check's result; return whether the snapshot changes by it."""
        what: Happening = "passed" if fact.ok else "refused" if fact.refused else "failed"
        return self._seen(
            members, fact.address, make_node_rules(members.settings), what, now, why=fact.detail
        )

    def sample(self, pools: Iterable[Members], outcomes: Mapping[str, Outcomes], now: float) -> bool:
        """Take in how requests ended, and let time pass; return whether the snapshot changes by it.

        Cheap while nothing happens: one comparison a node.
        """
        deltas = self._traffic.absorb(outcomes, now)
        self._is_stirred |= bool(deltas)
        if self.is_calm:
            return False
        is_turn = self._is_stirred and not 0 <= now - self._judged_at < JUDGE_EVERY_S
        measured: set[str] = set()
        if is_turn:
            measured, self._judged_at, self._is_stirred = self._traffic.measure(now), now, False
        changed = False
        for members in pools:
            rules = make_rules(members.settings)
            changed |= self._pass_time(members, rules, now)
            changed |= self._break(members, rules, deltas, now)
            for address in [a for a in members.addresses if a in deltas]:
                changed |= self._judge_traffic(members, address, rules, deltas[address], now)
            if is_turn:
                changed |= self._compare(members, rules, measured, now)
        return changed

    def _pass_time(self, members: Members, rules: HealthRules, now: float) -> bool:
        over = [
            address
            for pool, address in self._timed
            if pool == members.pool and self._health[pool, address].is_over(now)
        ]
        changes = [self._seen(members, address, rules.node, "elapsed", now) for address in sorted(over)]
        return any(changes)

    def _judge_traffic(
        self, members: Members, address: str, rules: HealthRules, delta: Delta, now: float
    ) -> bool:
        health = self.get(members.pool, address)
        if health.state == "trial":
            return self._judge_trial(members, address, rules, delta, now)
        if delta.bad and rules.eject_failures and delta.streak >= rules.eject_failures:
            return self._eject(members, address, rules, f"{delta.streak} requests in a row failed", now)
        return False

    def _judge_trial(
        self, members: Members, address: str, rules: HealthRules, delta: Delta, now: float
    ) -> bool:
        if delta.bad:
            why = f"{delta.bad} of {delta.bad + delta.good} requests failed when it was tried"
            return self._seen(members, address, rules.node, "bad", now, why=why)
        key = (members.pool, address)
        good, spent_s = self._trials.get(key, (0, 0.0))
        good, spent_s = good + delta.good, spent_s + delta.spent_s
        self._trials[key] = (good, spent_s)
        if good >= TRIALS:
            others = self._means(members, now, without=address)
            slow = ejection.find_slow(
                {**others, address: spent_s / good},
                factor=rules.latency_factor,
                least_s=rules.latency_least_s,
            ).get(address)
            if slow is not None:
                return self._seen(members, address, rules.node, "outlier", now, why=slow)
        return self._seen(members, address, rules.node, "good", now, count=delta.good)

    def _compare(self, members: Members, rules: HealthRules, measured: set[str], now: float) -> bool:
        """Eject who stands out from the others of its pool."""
        counts = {a: self._recent(members.pool, a, rules, now) for a in members.addresses}
        found = ejection.find_failing(
            counts, deviations=rules.rate_deviations, nodes=rules.rate_nodes, requests=rules.rate_requests
        )
        slow = ejection.find_slow(
            self._means(members, now), factor=rules.latency_factor, least_s=rules.latency_least_s
        )
        for address in [a for a in members.addresses if a in measured]:
            key = (members.pool, address)
            if address not in slow:
                self._slow.pop(key, None)
            elif abs(now - self._slow.setdefault(key, now)) >= SLOW_FOR_S:
                found.setdefault(address, slow[address])
        changes = [self._eject(members, address, rules, why, now) for address, why in sorted(found.items())]
        return any(changes)

    def _recent(self, pool: str, address: str, rules: HealthRules, now: float) -> tuple[int, int]:
        """Return the counts since it came back: what it was ejected for is no reason to do so again."""
        in_service_s = now - self.get(pool, address).back_at
        return self._traffic.counts(address, min(rules.rate_window_s, max(in_service_s, 0.0)), now)

    def _means(self, members: Members, now: float, *, without: str = "") -> dict[str, float]:
        means = {a: self._traffic.mean(a, now) for a in members.addresses if a != without}
        return {a: mean for a, mean in means.items() if mean is not None}

    def _eject(self, members: Members, address: str, rules: HealthRules, why: str, now: float) -> bool:
        states = self._states(members)
        if not ejection.may_eject(states, address, most_percent=rules.eject_most_percent):
            return False
        return self._seen(members, address, rules.node, "outlier", now, why=why)

    def _break(self, members: Members, rules: HealthRules, deltas: Mapping[str, Delta], now: float) -> bool:
        before = self.breaker(members.pool)
        if not rules.breaker.percent and before == Breaker():
            return False
        mine = [deltas[a] for a in members.addresses if a in deltas]
        back_s = min(rules.breaker_window_s, now - (before.health.since or 0.0))
        window = [self._traffic.counts(a, back_s, now) for a in members.addresses]
        after = before.seen(
            good=sum(delta.good for delta in mine),
            bad=sum(delta.bad for delta in mine),
            window=(sum(good for good, _ in window), sum(bad for _, bad in window)),
            rules=rules.breaker,
            now=now,
        )
        self._breakers[members.pool] = after
        if after.state != before.state:
            level = "warn" if after.state == "open" else "info"
            reason = after.health.why if after.state == "open" else None
            self._tell(level, f"pool_{after.state}", pool=members.pool, reason=reason)
        return after.state != before.state

    # What follows.

    def _seen(
        self,
        members: Members,
        address: str,
        rules: Rules,
        what: Happening,
        now: float,
        *,
        why: str = "",
        count: int = 1,
    ) -> bool:
        key = (members.pool, address)
        before = self.get(*key)
        after = before.seen(what, rules, now, why=why, count=count)
        self._put(key, after)
        if after.state == before.state:
            return False
        self._slow.pop(key, None)
        self._trials.pop(key, None)
        self._tell_change(key, before, after)
        return True

    def _put(self, key: Key, health: NodeHealth) -> None:
        self._health[key] = health
        if health.state in TIMED:
            self._timed.add(key)
        else:
            self._timed.discard(key)

    def _tell_change(self, key: Key, before: NodeHealth, after: NodeHealth) -> None:
        where = {"node": key[1], "pool": key[0]}
        match after.state:
            case "down" | "dead":
                if before.state not in ("down", "dead"):
                    self._tell("warn", "node_down", **where, reason=after.why, state=after.state)
            case "ejected":
                assert after.until is not None and after.since is not None
                for_s = show_seconds(after.until - after.since)
                self._tell(
                    "warn", "node_ejected", **where, reason=after.why, for_s=for_s, times=after.ejected_times
                )
            case "trial":
                self._tell("info", "node_tried", **where)
            case "warming":
                self._tell("info", "node_up" if before.state in ("down", "dead") else "node_back", **where)
            case _:
                pass

    def _tell(self, level: str, event: str, **fields: object) -> None:
        self._news.append(News(level, event, fields))

    def _states(self, members: Members) -> dict[str, State]:
        """Return the states of those that the pool can count on."""
        working = (a for a in members.addresses if a not in members.draining)
        return {a: self.get(members.pool, a).state for a in working}

    def judge(self, members: Members) -> dict[str, Verdict]:
        """Return the verdict on each node of a pool, and note it for the log when all or most are out."""
        rules = make_rules(members.settings)
        healths = {a: self.get(members.pool, a) for a in members.addresses}
        standing = ejection.stand(self._states(members), panic_percent=rules.panic_percent)
        if standing.mood != self._moods.get(members.pool, "calm"):
            self._moods[members.pool] = standing.mood
            level = "info" if standing.mood == "calm" else "warn"
            self._tell(level, f"pool_{standing.mood}", pool=members.pool)
        return {
            address: Verdict(
                health.is_usable if address in members.draining else address in standing.used,
                health.since if health.state == "warming" and rules.node.slow_start_s else None,
                health.state == "trial" and standing.mood == "calm",
            )
            for address, health in healths.items()
        }

    def admits(self, members: Members) -> int:
        """Return the per cent of a pool's requests that its breaker lets through."""
        return self.breaker(members.pool).admits(make_rules(members.settings).breaker)
