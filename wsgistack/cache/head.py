"""The head of a response as the rules read it."""

from __future__ import annotations

from collections.abc import Iterable

from wsgistack.http.fields import Fields

__all__ = ["ResponseHead"]


class ResponseHead:
    """Status, reason and fields; looked up without regard to case, read once.

    *fields* keep their order and the case of their names; text is latin-1.  Never changed.
    """

    __slots__ = ("_combined", "control", "fields", "reason", "status")

    def __init__(self, status: int, reason: str, fields: Iterable[tuple[str, str]]) -> None:
        self.status = status
        self.reason = reason
        self.fields: Fields = (
            fields if type(fields) is tuple else tuple([(name, value) for name, value in fields])
        )
        self._combined: dict[str, str] | None = None
        self.control: object = None  # what `control_of` read of it, for `control_of` alone

    def field(self, name: str) -> str | None:
        """Return the combined value of the field of that lower-case name, None if there is none."""
        combined = self._combined
        if combined is None:
            combined = self._combine()
        return combined.get(name)

    def has_none_of(self, names: frozenset[str]) -> bool:
        """Tell whether there is no field of these lower-case names."""
        return names.isdisjoint(self._combine() if self._combined is None else self._combined)

    def _combine(self) -> dict[str, str]:
        combined: dict[str, str] = {}
        for key, value in self.fields:
            key = key.strip().lower()
            combined[key] = f"{combined[key]}, {value}" if key in combined else value
        self._combined = combined
        return combined

    def with_fields(self, fields: Iterable[tuple[str, str]]) -> ResponseHead:
        """Return the same status with other fields."""
        return ResponseHead(self.status, self.reason, fields)

    def __repr__(self) -> str:
        return f"ResponseHead({self.status}, {self.reason!r}, {self.fields!r})"
