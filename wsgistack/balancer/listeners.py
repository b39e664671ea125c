"""The listening sockets that the supervisor owns; it is `Ports` for the control plane.

Opening binds at once, so that a taken port refuses the command.  What was opened and closed
since the last publication waits here until the workers are told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wsgistack.balancer import sockets
from wsgistack.balancer.address import parse_listen

if TYPE_CHECKING:
    from socket import socket

__all__ = ["Changes", "Key", "Listeners"]

Key = tuple[str, str]  # service, canonical address


@dataclass(slots=True)
class Changes:
    """What the workers have to be told: sockets to take over, and keys to let go.

    *released* holds our copies of the latter until the workers have let go; then `close`.
    """

    adopted: list[Key] = field(default_factory=list)
    released: dict[Key, list[socket]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.adopted or self.released)

    def close(self) -> None:
        """Close our copies of what the workers have let go."""
        _close(self.released)


class Listeners:
    """All listening sockets by service and address.

    *workers*: how many sockets a service needs per address.  *role_of(service)* tells whom they
    are for.  *serve_admin(socket)* takes over an admin port and returns what closes it.
    """

    def __init__(
        self,
        workers: int,
        *,
        role_of: Callable[[str], str | None],
        serve_admin: Callable[[socket], Callable[[], None]],
    ) -> None:
        self._workers = workers
        self._role_of = role_of
        self._serve_admin = serve_admin
        self._held: dict[Key, list[socket]] = {}
        self._admin: dict[Key, Callable[[], None]] = {}
        self._changes = Changes()

    def open(self, service: str, address: str) -> None:
        """Listen there, or raise ListenError with the system's reason."""
        parsed = parse_listen(address)
        if self._role_of(service) == "management":
            (sock,) = sockets.listen(parsed, 1, private=True)
            self._admin[service, address] = self._serve_admin(sock)
        else:
            self._held[service, address] = sockets.listen(parsed, self._workers)
            self._changes.adopted.append((service, address))

    def close(self, service: str, address: str) -> None:
        """Stop listening there, as soon as the workers have accepted what is queued."""
        key = (service, address)
        sockets.unlink(parse_listen(address))
        if key in self._admin:
            self._admin.pop(key)()
        elif key in self._changes.adopted:  # no worker was told of it
            self._changes.adopted.remove(key)
            _close({key: self._held.pop(key)})
        elif key in self._held:
            self._changes.released[key] = self._held.pop(key)

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def of_worker(self, number: int) -> dict[Key, int]:
        """Return the descriptors that worker *number* accepts on."""
        return {key: held[number].fileno() for key, held in self._held.items()}

    def addresses(self) -> dict[str, str]:
        """Return {service: its addresses with commas}, the workers' services first."""
        found: dict[str, str] = {}
        for service, address in [*self._held, *self._admin]:
            found[service] = f"{found[service]},{address}" if service in found else address
        return found

    def stop_admin(self) -> None:
        """Close the admin ports; their sessions go on."""
        for (service, address), close in list(self._admin.items()):
            sockets.unlink(parse_listen(address))
            del self._admin[service, address]
            close()

    def leave(self) -> None:
        """Remove the paths of Unix sockets: nobody new comes, what is queued is still accepted."""
        for _, address in self._held:
            sockets.unlink(parse_listen(address))

    def close_of_worker(self, number: int) -> None:
        """Close our copies of what worker *number* has let go for good."""
        for held in self._held.values():
            held[number].close()

    def close_all(self) -> None:
        """Close everything at once."""
        self.stop_admin()
        self.leave()
        self._changes.close()
        _close(self._held)
        self._held.clear()


def _close(held: dict[Key, list[socket]]) -> None:
    for group in held.values():
        for sock in group:
            sock.close()
