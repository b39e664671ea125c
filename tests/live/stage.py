"""One balancer over one scripted node, for the cases of a whole module."""

from collections.abc import Callable
from pathlib import Path

from tests.live.link import Link, ScriptNode, keep_requests
from tests.live.processes import Backend, Balancer, site

__all__ = ["Stage", "make_request"]

STEADY = "SET mypool.health_check = none"


def make_request(
    *fields: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"a", body: bytes = b""
) -> bytes:
    """Return the bytes of a request; a Host of b"" is left out."""
    lines = [line, *([b"Host: " + host] if host else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Stage:
    """`say` is what a client does; `serve` how the node answers; both are raw bytes."""

    def __init__(self, folder: Path, settings: str = "", *, workers: int = 1, more: str = "") -> None:
        self.node = ScriptNode(lambda link, node: self._serve(link, node))
        self._serve: Callable[[Link, ScriptNode], None] = keep_requests
        backend = Backend()
        backend.address = self.node.address
        text = site([backend], workers=workers, pool=STEADY, service=settings, more=more)
        self.balancer = Balancer(folder, text)
        self.balancer.start()
        self.workers = self.balancer.worker_pids()

    def serve(self, how: Callable[[Link, ScriptNode], None]) -> None:
        """Serve new connections with *how*, and let the balancer have none from before."""
        self._serve = how
        self.node.received.clear()
        self.balancer.admin(f"pool mypool remove {self.node.address}")
        self.balancer.admin(f"pool mypool add {self.node.address}")

    def open(self, data: bytes = b"", *, receive_buffer: int = 0) -> Link:
        """Connect to the service and send *data*."""
        return Link.to(self.balancer.site, data, receive_buffer=receive_buffer)

    def say(self, data: bytes) -> bytes:
        """Send *data* on a connection of its own and return all that comes until its end."""
        with self.open(data) as link:
            return link.rest()

    def clients(self) -> int:
        """Return how many clients the balancer says it has."""
        lines = self.balancer.admin("states")
        return sum(int(line.split()[-1]) for line in lines if line.startswith("Perlbal::ClientProxy "))

    def end(self) -> None:
        """Stop it; nothing may have crashed."""
        assert self.balancer.worker_pids() == self.workers, "a worker died"
        assert "Traceback" not in self.balancer.log
        assert "worker_failed" not in self.balancer.log
        assert self.balancer.stop() == 0
        self.node.stop()
