"""The settings of a pool: one table for SET, help, dumpconfig and the docs."""

from __future__ import annotations

from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.discovery import HEAVIEST, MOST_IN_FLIGHT
from wsgistack.settings import DURATION, HOST, INT, STATUSES, TARGET, Kind, Setting, Table, make_choice

__all__ = ["POOL_SETTINGS"]

NO_FILE_WORDS = ("none", "undef", "null", '""', "''")

CHECK_KINDS = ("none", "tcp", "http")

METHOD = make_choice(ALGORITHMS.names, "Unknown balance method")
CHECK = make_choice(lambda: CHECK_KINDS, "Unknown health check '{text}'")
FILE = Kind(
    "file", lambda text: "" if text.lower() in NO_FILE_WORDS else text, lambda value: str(value) or "none", ""
)

POOL_SETTINGS = Table(
    "pool",
    [
        Setting("balance_method", METHOD, "two_choices", "which node gets the next request"),
        Setting("nodefile", FILE, "", "file with one node a line, followed when it changes"),
        Setting("node_weight", INT, 1, "weight of a node that is added without one", least=1, most=HEAVIEST),
        Setting(
            "node_max_connections",
            INT,
            0,
            "requests in flight of a node that is added without max=; 0 for any number",
            most=MOST_IN_FLIGHT,
        ),
        Setting("health_check", CHECK, "tcp", "none, tcp (it accepts) or http (GET health_path)"),
        Setting("health_path", TARGET, "/", "what an http check asks for"),
        Setting("health_host", HOST, "", "Host of an http check; empty for the node's address"),
        Setting("health_status", STATUSES, "200-399", "statuses that pass, ranges or single ones"),
        Setting("health_interval", DURATION, 1.0, "from one check of a node to its next", least=0.05),
        Setting("health_timeout", DURATION, 1.0, "a check that takes longer has failed", least=0.01),
        Setting("health_fall", INT, 3, "failures in a row that take a node out", least=1, most=1000),
        Setting("health_rise", INT, 2, "passes in a row that take it back", least=1, most=1000),
        Setting("eject_statuses", STATUSES, "500-599", "response statuses that count against a node"),
    ],
)
