"""The settings of a pool: one table for SET, help, dumpconfig and the docs."""

from __future__ import annotations

from wsgistack.balancer.algorithms import ALGORITHMS
from wsgistack.balancer.discovery import HEAVIEST, MOST_IN_FLIGHT
from wsgistack.balancer.hash_key import parse_hash_key
from wsgistack.balancer.health_settings import HEALTH_SETTINGS
from wsgistack.settings import INT, Kind, Setting, Table, make_choice

__all__ = ["POOL_SETTINGS"]

NO_FILE_WORDS = ("none", "undef", "null", '""', "''")


def _parse_balance(text: str) -> int:
    value = int(text)
    if 0 < value < 100:
        raise ValueError("no node could take a request")
    return value


METHOD = make_choice(ALGORITHMS.names, "Unknown balance method")
HASH_KEY = Kind(
    "hash key",
    parse_hash_key,
    str,
    "Expecting ip, uri, header:NAME or cookie:NAME for parameter '{name}'",
)
BALANCE = Kind(
    "percentage", _parse_balance, str, "Expecting 0, or at least 100 (percent) for parameter '{name}'"
)
FILE = Kind(
    "file", lambda text: "" if text.lower() in NO_FILE_WORDS else text, lambda value: str(value) or "none", ""
)

POOL_SETTINGS = Table(
    "pool",
    [
        Setting("balance_method", METHOD, "two_choices", "which node gets the next request"),
        Setting("hash_key", HASH_KEY, "ip", "what consistent hashes: ip, uri, header:NAME, cookie:NAME"),
        Setting(
            "hash_balance_factor",
            BALANCE,
            0,
            "consistent: percentage of the average load that a node may have; 0 for any",
            most=10000,
        ),
        Setting("nodefile", FILE, "", "file with one node a line, followed when it changes"),
        Setting("node_weight", INT, 1, "weight of a node that is added without one", least=1, most=HEAVIEST),
        Setting(
            "node_max_connections",
            INT,
            0,
            "requests in flight of a node that is added without max=; 0 for any number",
            most=MOST_IN_FLIGHT,
        ),
        *HEALTH_SETTINGS,
    ],
)
