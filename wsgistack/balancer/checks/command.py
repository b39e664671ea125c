"""A program decides: exit status 0 passes, anything else fails, and its last line says why.

It is given the node's host and port as its last two arguments, a Unix socket's path as the last one, and
the same as WSGISTACK_POOL, WSGISTACK_NODE, WSGISTACK_HOST and WSGISTACK_PORT or WSGISTACK_PATH.
"""

from __future__ import annotations

import shlex

from wsgistack.balancer.address import parse_address
from wsgistack.balancer.checks import Run
from wsgistack.balancer.model import HealthCheck

__all__ = ["HELP", "NAME", "prepare"]

NAME = "command"
HELP = "the program health_command says so by its exit status"


def prepare(check: HealthCheck) -> Run:
    """Return the program's arguments and environment."""
    where = parse_address(check.node, default_port=80)
    program = shlex.split(check.text("health_command"))
    environment = {"WSGISTACK_POOL": check.pool, "WSGISTACK_NODE": check.node}
    if where.kind == "unix":
        return Run((*program, where.path), environment | {"WSGISTACK_PATH": where.path})
    port = str(where.port)
    environment |= {"WSGISTACK_HOST": where.host, "WSGISTACK_PORT": port}
    return Run((*program, where.host, port), environment)
