"""help: the commands, one of them, or a parameter."""

import pytest

from tests.balancer.stage import Stage


def test_help_lists_the_commands_that_are_there() -> None:
    assert Stage().say("help") == [
        *[
            "auth",
            "backends",
            "cache",
            "create",
            "default",
            "delete",
            "diff",
            "disable",
            "dumpconfig",
            "enable",
            "exit",
            "explain",
            "header",
            "help",
            "limit",
            "load",
            "names",
            "node",
            "nodes",
            "pending",
        ],
        *[
            "pool",
            "proc",
            "queues",
            "quit",
            "reload",
            "save",
            "server",
            "set",
            "show",
            "shutdown",
            "socks",
            "states",
            "throttle",
            "upgrade",
            "uptime",
            "use",
            "verbose",
            "version",
        ],
        ".",
    ]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("help use", "USE <name>: mean this pool, service, limit or cache in SET"),
        ("help NODES", "nodes [<address>[:<port>]]: counters of a node, or of all"),
        ("help unload", "unload: not available yet"),
        ("help xs", "xs: about the inside of Perl, not available"),
        ("help buffer_size", "SET buffer_size = <size>: response bytes kept for a slow client; default 256k"),
        ("help enable_ssl", "SET enable_ssl = <bool>: speak TLS to clients; not available yet"),
        ("help idle_timeout", "SET idle_timeout = <duration>: Perlbal's name for client_body_timeout and client_write_timeout"),
        ("help max_connections", "SERVER max_connections = <int>: client connections of a worker; default 20000"),
        ("help buffer_siz", "ERROR: unknown command: buffer_siz (did you mean 'buffer_size'?)"),
        ("help !", "ERROR: Invalid syntax to 'help' command; usage: help [<command or parameter>]"),
    ],
)  # fmt: skip
def test_help_tells_about_one(line: str, first: str) -> None:
    assert Stage().say(line)[0] == first


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("help set", "of a pool: balance_method"),
        ("help set", "of a service: role, listen, pool, limit, cache, persist_client"),
        ("help default", "parameters: persist_client"),
        ("help server", "parameters: workers, max_connections, drain_timeout"),
    ],
)
def test_help_names_the_parameters(line: str, part: str) -> None:
    assert any(printed.startswith(part) for printed in Stage().say(line))
