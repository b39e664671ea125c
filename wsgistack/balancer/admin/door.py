"""One visitor at the door of an admin port: what it must show, and what is logged of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wsgistack.balancer.admin.access import Attempts, Granted, Keys, Refused, admit
from wsgistack.balancer.admin.tokens import TokenFileError, find_keys
from wsgistack.balancer.events import Log
from wsgistack.settings import Value

__all__ = ["Door"]


@dataclass(frozen=True, slots=True)
class Door:
    """Where *peer* stands before it may give commands on a port of *service*.

    *settings* gives the service's settings of this moment: a token that is changed counts for
    whoever comes next.  *clock* only goes forward.  *on_entry* is called when the visitor is in.
    """

    service: str
    peer: str
    settings: Callable[[], Mapping[str, Value]]
    attempts: Attempts
    clock: Callable[[], float]
    log: Log
    on_entry: Callable[[], None] = lambda: None

    def keys(self) -> Keys:
        """Return what opens the port now; nothing does while a token file cannot be trusted."""
        settings = self.settings()
        try:
            return find_keys(settings)
        except TokenFileError as error:
            self.log.often("admin_locked", service=self.service, reason=str(error))
            return Keys(readonly=True, locked=True)

    def enter(self, token: str | None) -> Granted | Refused:
        """Say whether the visitor may come in with that token, or without any; log a wrong one."""
        host = self.peer.rpartition(":")[0].strip("[]") or self.peer
        verdict = admit(self.keys(), token, peer=host, attempts=self.attempts, now=self.clock())
        if isinstance(verdict, Granted):
            self.on_entry()
        elif verdict.failed or verdict.retry_after_s:
            reason = "wrong_token" if verdict.failed else "too_many_wrong_tokens"
            self.log.often("admin_refused", service=self.service, peer=self.peer, reason=reason)
        return verdict

    @property
    def is_readonly(self) -> bool:
        """Tell whether the port is for reading alone at this moment."""
        return bool(self.settings()["readonly"])

    @property
    def is_local_socket(self) -> bool:
        """Tell whether the visitor came by a Unix socket, which no browser can."""
        return self.peer == "unix"
