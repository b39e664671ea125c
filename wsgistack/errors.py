"""Every error that wsgistack raises on purpose.

    WsgistackError
     +-- ConfigurationError (ValueError)   what somebody wrote cannot be meant
     |    +-- AddressError                 not an address of a node or a listener
     |    +-- SettingError                 a setting's value does not fit
     |    +-- UnknownName                  no part, setting or command has that name
     |    +-- CommandError                 an admin command is refused; str() follows `ERROR: `
     +-- ListenError (OSError)             the system does not let us listen there

Each class answers whose fault it is and whether trying again can help; str() is what to tell
the person who asked.
"""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = [
    "AddressError",
    "CommandError",
    "ConfigurationError",
    "ListenError",
    "SettingError",
    "UnknownName",
    "WsgistackError",
]


class WsgistackError(Exception):
    """The root of the tree."""

    fault: ClassVar[Literal["operator", "system"]] = "system"
    may_retry: ClassVar[bool] = False


class ConfigurationError(WsgistackError, ValueError):
    """What somebody wrote cannot be meant; nothing was changed."""

    fault = "operator"


class AddressError(ConfigurationError):
    """A text is not the address of a node or a listener."""


class SettingError(ConfigurationError):
    """A setting's value does not fit its type or its range."""


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
    the context), so that a reader of a whole file can tell a consequence from a cause.
    """

    def __init__(
        self, text: str, *, met: str = "", nearest: str | None = None, because: str | None = None
    ) -> None:
        super().__init__(text + (f" (did you mean '{nearest}'?)" if nearest else ""))
        self.met = met
        self.nearest = nearest
        self.because = because


class ListenError(WsgistackError, OSError):
    """The system does not let us listen on an address; str() is its reason."""

    fault = "operator"
    may_retry = True
