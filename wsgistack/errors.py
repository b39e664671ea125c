"""Every error that wsgistack raises on purpose::

    WsgistackError
     +-- ConfigurationError (ValueError)   what somebody wrote cannot be meant
     |    +-- AddressError                 not an address of a node or a listener
     |    +-- SettingError                 a setting's value does not fit
     |    +-- UnknownName                  no part, setting or command has that name
     |    +-- CommandError                 an admin command is refused; str() follows `ERROR: `
     |    |    +-- NotAllowed              whoever gave it may only read
     |    +-- RateError                    a rate limit cannot be read
     +-- ListenError (OSError)             the system does not let us listen there
     +-- StoreError                        a store did not do what it was asked
          +-- ArgumentError (ValueError)   a key, value, time to live or number that no store takes
          |    +-- TooLarge                a value that this store can never hold
          +-- StoreDown                    it cannot be reached, or did not answer in time
          +-- StoreFull                    no room is left beside what is pinned
          +-- CounterError                 what is there cannot be counted with
          +-- Contended                    other writers were quicker every time
          +-- Unreadable                   what is there is not what it should be; never returned

Each class answers whose fault it is and whether trying again can help; str() is what to tell
the person who asked.
"""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = [
    "AddressError",
    "ArgumentError",
    "CommandError",
    "ConfigurationError",
    "Contended",
    "CounterError",
    "ListenError",
    "NotAllowed",
    "RateError",
    "SettingError",
    "StoreDown",
    "StoreError",
    "StoreFull",
    "TooLarge",
    "UnknownName",
    "Unreadable",
    "WsgistackError",
]


class WsgistackError(Exception):
    """The root of the tree."""

    fault: ClassVar[Literal["caller", "operator", "system"]] = "system"
    may_retry: ClassVar[bool] = False


class ConfigurationError(WsgistackError, ValueError):
    """What somebody wrote cannot be meant; nothing was changed."""

    fault = "operator"


class AddressError(ConfigurationError):
    """A text is not the address of a node or a listener."""


class SettingError(ConfigurationError):
    """A setting's value does not fit its type or its range.  *complaints*: each, where there are several."""

    def __init__(self, *complaints: str) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


class UnknownName(ConfigurationError):
    """No part, setting or command has that name.

    *met* is the name as written, *nearest* the one that was probably meant, or None.
    """

    def __init__(self, text: str, *, met: str, nearest: str | None) -> None:
        super().__init__(text + (f" (did you mean '{nearest}'?)" if nearest else ""))
        self.met = met
        self.nearest = nearest


class CommandError(ConfigurationError):
    """An admin command is refused; its text is Perlbal's where Perlbal has one.

    *met* and *nearest*: a misspelt word of the line and the valid one.  *because*: the pool or
    service that the command builds on and that is missing or unfinished ("": the one implied by
    the context), so that a reader of a whole file can tell a consequence from a cause.  *usage*:
    how the command is written, when that was the trouble.
    """

    def __init__(
        self,
        text: str,
        *,
        met: str = "",
        nearest: str | None = None,
        because: str | None = None,
        usage: str = "",
    ) -> None:
        hint = f" (did you mean '{nearest}'?)" if nearest else ""
        super().__init__(text + hint + (f"; usage: {usage}" if usage else ""))
        self.met = met
        self.nearest = nearest
        self.because = because


class RateError(ConfigurationError):
    """A rate limit cannot be read.  *column* counts from 1, None where no single word is wrong."""

    def __init__(self, text: str, *, column: int | None = None, nearest: str | None = None) -> None:
        super().__init__(text + (f" (did you mean '{nearest}'?)" if nearest else ""))
        self.column = column
        self.nearest = nearest


class NotAllowed(CommandError):
    """A command that changes something came from a session that may only read."""


class ListenError(WsgistackError, OSError):
    """The system does not let us listen on an address; str() is its reason."""

    fault = "operator"
    may_retry = True


class StoreError(WsgistackError):
    """A store did not do what it was asked; what it holds is whole all the same."""


class ArgumentError(StoreError, ValueError):
    """A key, value, time to live or number that no store takes; nothing was changed."""

    fault = "caller"


class TooLarge(ArgumentError):
    """A value that this store can never hold; its key holds nothing now."""


class StoreDown(StoreError):
    """A store cannot be reached, or did not answer in time; whether it acted is unknown."""

    may_retry = True


class StoreFull(StoreError):
    """No room is left beside what is pinned."""

    may_retry = True


class CounterError(StoreError):
    """What a key holds is not a number, or would leave the range of counters."""

    fault = "caller"


class Contended(StoreError):
    """Other writers of the same key were quicker every time."""

    may_retry = True


class Unreadable(StoreError):
    """What a key holds is damaged, forged, too large, another key's, or of a kind that is not allowed."""
