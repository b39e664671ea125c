"""Limited applications for servers with several processes; the body is the process."""

from __future__ import annotations

import os
from typing import Any

from wsgistack.ratelimit import RateLimit, Rule


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Tell which process this is."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


limited = RateLimit(application, "30/hour; 1000/day")
login = RateLimit(application, rules=[Rule("login", "30/hour exact", ban="1000 in 1 hour for 1 hour")])
