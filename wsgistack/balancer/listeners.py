"""The listening sockets that the supervisor owns; it is `Ports` for the control plane.

Opening binds at once, so that a taken port refuses the command.  What was opened and closed
since the last publication waits here until the workers are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from wsgistack.balancer import sockets
from wsgistack.balancer.address import parse_listen
from wsgistack.balancer.admin.tokens import TokenFileError, find_keys
from wsgistack.balancer.model import Service
from wsgistack.errors import CommandError, ListenError
from wsgistack.settings import Value

if TYPE_CHECKING:
    from socket import socket

__all__ = ["Changes", "Key", "Listeners"]

Key = tuple[str, str]  # service, canonical address


class Owner(Protocol):
    """A service that is, or one that is planned."""

    @property
    def role(self) -> str | None:
        """Whom its sockets are for."""
        ...

    @property
    def settings(self) -> Mapping[str, Value]:
        """All of its settings."""
        ...


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

    *workers*: how many sockets a service needs per address.  *find(name)* returns a service, whose
    role tells whom they are for.  *serve_admin(service, socket)* takes over an admin port and
    returns what closes it.
    """

    def __init__(
        self,
        workers: int,
        *,
        find: Callable[[str], Service],
        serve_admin: Callable[[str, socket], Callable[[], None]],
    ) -> None:
        self._workers = workers
        self._find = find
        self._serve_admin = serve_admin
        self._held: dict[Key, list[socket]] = {}
        self._admin: dict[Key, Callable[[], None]] = {}
        self._admin_fds: dict[Key, int] = {}
        self._is_given_away = False
        self._inner: set[Key] = set()
        self._changes = Changes()
        self._spare: dict[str, list[socket]] = {}  # by address: bound already, for whom it may concern

    def reserve(self, address: str, owner: Owner) -> None:
        """Bind an address that *owner* is going to open; raise ListenError if that cannot be."""
        if address not in self._spare:
            self._spare[address] = self._bind(address, owner)

    def provide(self, address: str, inherited: list[socket]) -> None:
        """Use these sockets, which listen already, when *address* is opened."""
        self._spare[address] = inherited

    def drop_spare(self) -> None:
        """Close what was reserved or provided and that nobody opened."""
        for address in self._spare:
            self._unlink(address)
        _close(self._spare)
        self._spare.clear()

    def open(self, service: str, address: str) -> None:
        """Listen there, or raise ListenError with the system's reason."""
        key = (service, address)
        found = self._find(service)
        if found.role == "management":
            try:
                find_keys(found.settings)
            except TokenFileError as error:
                raise ListenError(str(error)) from None
            (sock,) = self._take_spare(found, address)
            self._admin_fds[key] = sock.fileno()
            self._admin[key] = self._serve_admin(service, sock)
            return
        released = self._find_released(address)
        if released is None:
            self._held[key] = self._take_spare(found, address)
        else:  # closed a moment ago, and no worker was told of it: what is queued there stays
            self._held[key] = self._changes.released[released]
            self._changes.released[released] = []
        if released == key:
            del self._changes.released[key]
        else:
            self._changes.adopted.append(key)

    def check(self, role: str | None, settings: Mapping[str, Value]) -> None:
        """Raise CommandError if an admin port would let nobody in with these settings."""
        if role == "management":
            try:
                find_keys(settings)
            except TokenFileError as error:
                raise CommandError(str(error)) from None

    def _find_released(self, address: str) -> Key | None:
        # The path of a Unix socket went with it: whoever opens it again makes another.
        if address.startswith("unix:"):
            return None
        found = (key for key, held in self._changes.released.items() if key[1] == address and held)
        return next(found, None)

    def _take_spare(self, owner: Owner, address: str) -> list[socket]:
        if address not in self._spare:
            return self._bind(address, owner)
        spare = self._spare.pop(address)
        if owner.role == "management":
            _close({address: spare[1:]})
            return spare[:1]
        missing = self._workers - len(spare)
        return [*spare, *(spare[n % len(spare)].dup() for n in range(missing))]

    def _bind(self, address: str, owner: Owner) -> list[socket]:
        if owner.role != "management":
            return sockets.listen(parse_listen(address), self._workers)
        mode = owner.settings["socket_mode"]
        assert isinstance(mode, int)
        return sockets.listen(parse_listen(address), 1, mode=mode)

    def close(self, service: str, address: str) -> None:
        """Stop listening there, as soon as the workers have accepted what is queued."""
        key = (service, address)
        self._unlink(address)
        if key in self._admin:
            self._admin.pop(key)()
        elif key in self._changes.adopted:  # no worker was told of it
            self._changes.adopted.remove(key)
            _close({key: self._held.pop(key)})
        elif key in self._held:
            self._changes.released[key] = self._held.pop(key)

    def keep_inner(self, wanted: AbstractSet[Key]) -> None:
        """Listen at *wanted*, and nowhere else, for what the keeper of the page cache does not have.

        These are ours alone: nobody is told of them, no successor gets them, and they stay while workers drain.
        """
        for key in self._inner - wanted:
            self.close(*key)
        for key in wanted - self._inner:
            self.open(*key)
        self._inner = set(wanted)

    def is_inner(self, key: Key) -> bool:
        """Tell whether it is for the keeper."""
        return key in self._inner

    def take_changes(self) -> Changes:
        """Return what changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def of_worker(self, number: int) -> dict[Key, list[int]]:
        """Return the descriptors that worker *number* accepts on: one a key, or more inherited ones."""
        return {
            key: [sock.fileno() for sock in held[number :: self._workers]] for key, held in self._held.items()
        }

    def addresses(self) -> dict[str, str]:
        """Return {service: its addresses with commas}, the workers' services first."""
        found: dict[str, str] = {}
        for service, address in [*(key for key in self._held if key not in self._inner), *self._admin]:
            found[service] = f"{found[service]},{address}" if service in found else address
        return found

    def all_sockets(self) -> dict[str, list[int]]:
        """Return {address: descriptors} of everything that listens, for a successor."""
        found = {
            key[1]: [sock.fileno() for sock in held]
            for key, held in self._held.items()
            if key not in self._inner
        }
        return found | {address: [self._admin_fds[key]] for key in self._admin for address in key[1:]}

    def give_away(self) -> None:
        """Leave the paths of Unix sockets alone from now on: a successor listens there."""
        self._is_given_away = True

    def _unlink(self, address: str) -> None:
        if not self._is_given_away:
            sockets.unlink(parse_listen(address))

    def stop_admin(self) -> None:
        """Close the admin ports; their sessions go on."""
        for (service, address), close in list(self._admin.items()):
            self._unlink(address)
            del self._admin[service, address]
            close()

    def leave(self) -> None:
        """Remove the paths of Unix sockets: nobody new comes, what is queued is still accepted."""
        for key in self._held.keys() - self._inner:
            self._unlink(key[1])

    def close_of_worker(self, number: int) -> None:
        """Close our copies of what worker *number* has let go for good."""
        for held in self._held.values():
            for sock in held[number :: self._workers]:
                sock.close()

    def close_all(self) -> None:
        """Close everything at once."""
        self.stop_admin()
        self.leave()
        for _, address in self._inner:
            sockets.unlink(parse_listen(address))
        self.drop_spare()
        self._changes.close()
        _close(self._held)
        self._held.clear()


def _close(held: Mapping[Any, list[socket]]) -> None:
    for group in held.values():
        for sock in group:
            sock.close()
