"""A command check: the words that the program gets."""

import pytest

from wsgistack.balancer.checks import Run
from wsgistack.balancer.checks.command import prepare
from wsgistack.balancer.model import HealthCheck
from wsgistack.balancer.pool_settings import POOL_SETTINGS


@pytest.mark.parametrize(
    ("connect", "run"),
    [
        (
            "10.0.0.1:8001",
            Run(
                ("/usr/lib/check", "-t", "two words", "10.0.0.1", "8001"),
                {
                    "WSGISTACK_POOL": "mypool",
                    "WSGISTACK_NODE": "10.0.0.1:8001",
                    "WSGISTACK_HOST": "10.0.0.1",
                    "WSGISTACK_PORT": "8001",
                },
            ),
        ),
        (
            "[::1]:8001",
            Run(
                ("/usr/lib/check", "-t", "two words", "::1", "8001"),
                {
                    "WSGISTACK_POOL": "mypool",
                    "WSGISTACK_NODE": "[::1]:8001",
                    "WSGISTACK_HOST": "::1",
                    "WSGISTACK_PORT": "8001",
                },
            ),
        ),
        (
            "unix:/run/app;x.sock",
            Run(
                ("/usr/lib/check", "-t", "two words", "/run/app;x.sock"),
                {
                    "WSGISTACK_POOL": "mypool",
                    "WSGISTACK_NODE": "unix:/run/app;x.sock",
                    "WSGISTACK_PATH": "/run/app;x.sock",
                },
            ),
        ),
    ],
    ids=["IPv4", "IPv6", "a Unix socket"],
)
def test_the_program_is_told_of_the_node(connect: str, run: Run) -> None:
    settings = POOL_SETTINGS.defaults() | {"health_command": "/usr/lib/check -t 'two words'"}
    assert prepare(HealthCheck("command", "mypool", connect, settings)) == run
