"""What a story that did not hold leaves behind, for somebody who cannot play it again."""

from demo.processes import Backend, Balancer
from demo.story import Stage
from demo.telnet import Telnet

__all__ = ["tell"]

LOG_LINES = 60
ADMIN_TIMEOUT_S = 5.0  # it may be the balancer that hangs


def tell(stage: Stage, trouble: BaseException) -> list[str]:
    """Return lines: the balancer's log, who is alive, what the admin port says, and last what went wrong.

    Last, because the log of a run is often read, or kept, from its end only.
    """
    log = stage.balancer.log
    tail = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    return [
        "-- demo: the end of the balancer's log",
        *tail,
        "-- demo: the processes and the admin port",
        *_processes(stage),
        *_admin(stage.admin),
        "-- demo: the story did not hold",
        *(f"   {line}" for line in f"{type(trouble).__name__}: {trouble}".splitlines()),
    ]


def _processes(stage: Stage) -> list[str]:
    named: dict[str, Backend | Balancer] = {"balancer": stage.balancer}
    named |= {f"{backend.name} {backend.address}": backend for backend in (*stage.pool, stage.spare)}
    return [
        f"   {name}: process {part.process.pid}, {_state(part.process.poll())}"
        for name, part in named.items()
        if part.process
    ]


def _state(status: int | None) -> str:
    return "running" if status is None else f"ended with {status}"


def _admin(address: str) -> list[str]:
    lines: list[str] = []
    try:
        with Telnet(address, timeout_s=ADMIN_TIMEOUT_S) as telnet:
            lines += [f"   nodes: {line}" for line in telnet.ask("nodes")]
    except (OSError, ValueError) as error:  # ValueError: what it says is no UTF-8
        lines.append(f"   the admin port {address} does not answer: {error}")
    return lines
