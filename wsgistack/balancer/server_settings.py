"""The settings of the whole server: one table for SERVER, help, dumpconfig and the docs."""

from __future__ import annotations

import re

from wsgistack.balancer.address import parse_address
from wsgistack.balancer.dns_package import NEED_DNS, has_dns
from wsgistack.errors import AddressError, SettingError
from wsgistack.settings import DURATION, FLAG, INT, SIZE, Kind, Setting, Table, Value, make_choice

__all__ = ["FIXED", "MOST_WORKERS", "OUTLIVES_UPGRADES", "SERVER_SETTINGS"]

MOST_WORKERS = 64
FIXED = ("workers", "journal", "ready_bytes", "limit_keys")  # at the start
OUTLIVES_UPGRADES = ("limit_keys",)  # of them what the balancer before hands over
GRAPHITE_PORT = 2003


def _parse_workers(text: str) -> Value:
    if (number := INT.parse(text)) == 0:  # which is how "the cores" is kept
        raise SettingError("workers: 0 is below 1")
    return number


NUMBER = Kind("int", INT.parse, INT.show, "Expected numeric parameter", INT.most)
WORKERS = Kind("int", _parse_workers, lambda value: str(value or "the cores"), "Expected numeric parameter")
AIO_MODE = make_choice(lambda: ("none", "ioaio"), "Unknown AIO mode")
FAMILIES = make_choice(lambda: ("any", "both", "ipv4", "ipv6"), "Unknown family '{text}'")
LOG_FORMAT = make_choice(lambda: ("combined", "json"), "Unknown format of the access log: '{text}'")
MOST_RESOLVERS = 8


def _parse_resolvers(text: str) -> tuple[str, ...]:
    """Return the servers of a list separated by commas or spaces, each as ip:port."""
    if text.lower() in ("system", '""', "''"):
        return ()
    servers = []
    for word in re.split(r"[,\s]+", text.strip(", ")):
        try:
            address = parse_address(word, default_port=53)
        except AddressError as error:
            raise SettingError(f"resolvers: {error}") from None
        if address.kind not in ("inet", "inet6"):
            raise SettingError(f"resolvers: '{word}' is not ip or ip:port")
        servers.append(str(address))
    if len(servers) > MOST_RESOLVERS:
        raise SettingError(f"resolvers: {len(servers)} servers; at most {MOST_RESOLVERS} fit")
    if not has_dns():
        raise SettingError(f"resolvers: name servers other than the system's {NEED_DNS}")
    return tuple(servers)


def _show_resolvers(value: Value) -> str:
    assert isinstance(value, tuple)
    return ", ".join(value) or "system"


# A path may hold anything but what the language takes for itself.
PATH = Kind(
    "file",
    lambda text: "" if text.lower() in ("none", '""', "''") else text,
    lambda value: str(value) or "none",
    "",
)
LOG = Kind("file", lambda text: "off" if text.lower() in ("off", "none", '""', "''") else text, str, "")
RESOLVERS = Kind("servers", _parse_resolvers, _show_resolvers, "")


def _parse_graphite(text: str) -> str:
    if text.lower() in ('""', "''", "none"):
        return ""
    address = parse_address(text, default_port=GRAPHITE_PORT)
    if address.kind == "unix":
        raise ValueError(text)
    return str(address)


def _parse_prefix(text: str) -> str:
    if text in ('""', "''", "none"):
        return ""
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", text, re.ASCII) or len(text) > 255:
        raise ValueError(text)
    return text


GRAPHITE = Kind(
    "address",
    _parse_graphite,
    lambda value: str(value) or "none",
    "Expecting HOST:PORT for parameter '{name}'",
)
PREFIX = Kind(
    "text",
    _parse_prefix,
    lambda value: str(value) or "none",
    "Expecting words of letters, digits, _ and - with dots between them for parameter '{name}'",
)

SERVER_SETTINGS = Table(
    "server",
    [
        Setting("workers", WORKERS, 0, "processes; fixed at the start", least=1, most=MOST_WORKERS),
        Setting("max_connections", NUMBER, 20000, "client connections of a worker", least=1),
        Setting("drain_timeout", DURATION, 30.0, "for what runs to finish at a graceful shutdown or upgrade"),
        Setting("journal", PATH, "", "file that keeps changes made at run time over a restart"),
        Setting("pidfile", PATH, "", "file that holds the process number"),
        Setting(
            "resolvers",
            RESOLVERS,
            (),
            "name servers, ip or ip:port (with dnspython); system for those of resolv.conf",
        ),
        Setting(
            "resolve_family",
            FAMILIES,
            "any",
            "addresses of host names: ipv4, ipv6, both, or any for IPv4 and IPv6 where there is none",
        ),
        Setting("resolve_timeout", DURATION, 2.0, "for a name server to answer", least=0.01, most=10),
        Setting(
            "drain_delay",
            DURATION,
            0.0,
            "that /ready says no before a graceful stop closes the ports",
            most=3600,
        ),
        Setting("graphite", GRAPHITE, "", "HOST:PORT of the Graphite that gets the metrics, or none"),
        Setting("graphite_interval", DURATION, 60.0, "from one push to the next", least=1),
        Setting("graphite_prefix", PREFIX, "", "what their names begin with"),
        Setting("access_log", LOG, "off", "one line a request: a file, - for stdout, off"),
        Setting(
            "access_log_format", LOG_FORMAT, "combined", "combined (Apache's, with more after it) or json"
        ),
        Setting(
            "usage_folder", PATH, "", "folder in which requests of limits are metered by key, status and hour"
        ),
        Setting(
            "ready_bytes",
            SIZE,
            64 * 1024 * 1024,
            "memory that all workers share for pages that need no decision; fixed at the start",
            most=4 * 1024 * 1024 * 1024,
        ),
        Setting(
            "limit_keys",
            NUMBER,
            131_072,
            "clients that all limits together count at once, each under each rate (32 bytes); fixed at the start",
            least=256,
            most=4_194_304,
        ),
        Setting("aio_mode", AIO_MODE, "none", "accepted for Perlbal's configurations; changes nothing"),
        Setting("max_reproxy_connections", NUMBER, 0, "connections of a reproxied host", available=False),
        Setting("nice_level", NUMBER, 0, "niceness of the processes", available=False),
        Setting("aio_threads", NUMBER, 0, "threads for disk access", available=False),
        Setting("track_obj", FLAG, 0, "count Perl's objects", available=False),
        Setting("crash_backtrace", FLAG, 0, "print Perl's stack on errors", available=False),
    ],
)
