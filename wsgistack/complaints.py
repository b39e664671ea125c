"""What is wrong, everything at once: checks that all are made, whichever of them fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from wsgistack.errors import ConfigurationError, SettingError

__all__ = ["complaints_of", "gather"]

Given = TypeVar("Given")


def gather(steps: Iterable[Callable[[], Given]]) -> list[Given]:
    """Return what each of *steps* gives.

    Raises the ConfigurationError of a step, or a SettingError with the complaints of all that raise one.
    """
    given: list[Given] = []
    errors: list[ConfigurationError] = []
    for step in steps:
        try:
            given.append(step())
        except ConfigurationError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SettingError(*(text for error in errors for text in complaints_of(error)))
    return given


def complaints_of(error: Exception) -> tuple[str, ...]:
    """Return what *error* tells, one text for each thing that is wrong."""
    return error.complaints if isinstance(error, SettingError) else (str(error),)
