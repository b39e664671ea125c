"""Perlbal's commands that are not here."""

import pytest

from tests.balancer.stage import Stage

PERLBAL_HELP = [
    "aio",
    "backends",
    "create",
    "default",
    "disable",
    "dumpconfig",
    "enable",
    "fd",
    "gladiator",
    "header",
    "help",
    "leaks",
    "load",
    "mime",
    "node",
    "nodes",
    "noverify",
    "obj",
    "pending",
    "plugins",
    "pool",
    "proc",
    "prof",
    "queues",
    "reload",
    "reproxy_state",
    "server",
    "set",
    "show",
    "shutdown",
    "socks",
    "state",
    "states",
    "track",
    "unload",
    "uptime",
    "use",
    "varsize",
    "verbose",
    "version",
    "xs",
]


@pytest.mark.parametrize("word", PERLBAL_HELP)
def test_every_command_of_perlbals_help_is_known(word: str) -> None:
    # A list of no lines is an answer too: `shutdown` ends without a word.
    assert "unknown command" not in " ".join(Stage().say(word))


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("UNLOAD vhosts", "ERROR: the 'unload' command is not available yet"),
        ("vhost x = y", "ERROR: the 'vhost' command is not available yet"),
        ("noverify", "ERROR: the 'noverify' command is not available yet"),
        ("crash", "ERROR: the 'crash' command is about the inside of Perl and not available"),
        ("leaks system('x')", "ERROR: the 'leaks' command is about the inside of Perl and not available"),
    ],
)
def test_a_command_that_is_not_here_says_so_by_name(line: str, reply: str) -> None:
    assert Stage().say(line) == [reply]
