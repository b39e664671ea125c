"""A pool's settings about health as the numbers that the engines take, and its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wsgistack.balancer.breaker import BreakerRules
from wsgistack.balancer.health import Rules
from wsgistack.balancer.model import HealthCheck
from wsgistack.settings import Value

__all__ = ["RATE_WINDOW_S", "HealthRules", "is_checked", "make_check", "make_node_rules", "make_rules"]

RATE_WINDOW_S = 10.0  # Envoy's interval


@dataclass(frozen=True, slots=True)
class HealthRules:
    """What a pool's health is judged by."""

    node: Rules
    breaker: BreakerRules
    breaker_window_s: float
    eject_failures: int
    eject_most_percent: int
    rate_deviations: float
    rate_nodes: int
    rate_requests: int
    latency_factor: float
    latency_least_s: float
    panic_percent: int
    rate_window_s: float = RATE_WINDOW_S


def make_rules(settings: Mapping[str, Value]) -> HealthRules:
    """Return the rules that a pool's *settings* mean."""

    def number(name: str) -> float:
        return _number(settings, name)

    def count(name: str) -> int:
        return int(number(name))

    return HealthRules(
        node=make_node_rules(settings),
        breaker=BreakerRules(
            percent=count("breaker_percent"),
            requests=count("breaker_requests"),
            open_s=number("breaker_time"),
            share=count("breaker_share"),
        ),
        breaker_window_s=number("breaker_window"),
        eject_failures=count("eject_failures"),
        eject_most_percent=count("eject_most_percent"),
        rate_deviations=number("eject_rate_deviations"),
        rate_nodes=count("eject_rate_nodes"),
        rate_requests=count("eject_rate_requests"),
        latency_factor=number("eject_latency_factor"),
        latency_least_s=number("eject_latency_least"),
        panic_percent=count("panic_threshold"),
    )


def make_node_rules(settings: Mapping[str, Value]) -> Rules:
    """Return those of them that are about one node: all that a check needs."""
    return Rules(
        fall=int(_number(settings, "health_fall")),
        rise=int(_number(settings, "health_rise")),
        eject_time_s=_number(settings, "eject_time"),
        eject_time_most_s=_number(settings, "eject_time_most"),
        slow_start_s=_number(settings, "slow_start"),
    )


def _number(settings: Mapping[str, Value], name: str) -> float:
    value = settings[name]
    assert isinstance(value, int | float)
    return value


def is_checked(settings: Mapping[str, Value]) -> bool:
    """Tell whether a pool's *settings* ask for checks."""
    return settings["health_check"] != "none"


def make_check(pool: str, node: str, settings: Mapping[str, Value]) -> HealthCheck | None:
    """Return the check of the node *node* that a pool's *settings* ask for, None if they ask for none."""
    if not is_checked(settings):
        return None
    about_checks = {name: value for name, value in settings.items() if name.startswith("health_")}
    return HealthCheck(str(settings["health_check"]), pool, node, about_checks)
