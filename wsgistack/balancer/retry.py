"""What may be tried again, as settings: the words of retry_on and the delays of error_retry_schedule.

plane/retry.pyx decides with them, request by request.

>>> parse_retry_on("reset, connect, 503")
RetryOn(words=('connect', 'reset'), statuses=(503,))
>>> parse_schedule("0,.25,1")
(0.0, 0.25, 1.0)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wsgistack.errors import SettingError
from wsgistack.registry import find_nearest
from wsgistack.settings import Kind

__all__ = ["RETRY_ON", "SCHEDULE", "WORDS", "RetryOn", "parse_retry_on", "parse_schedule"]

WORDS = ("connect", "reset", "timeout", "invalid")  # in the order of plane/retry.pxd
MOST_DELAYS = 24
LONGEST_DELAY_S = 3600.0


class RetryOn(NamedTuple):
    """What a request is sent again for: failures by word, answers by status, both in fixed order."""

    words: tuple[str, ...]
    statuses: tuple[int, ...]


def parse_retry_on(text: str) -> RetryOn:
    """Return what *text* lists, separated by commas or blanks; `none` is nothing.

    Raises SettingError for a word that is none and for a status outside of 400 to 599.
    """
    names = [name for name in re.split(r"[,\s]+", text.lower()) if name and name != "none"]
    statuses = {_parse_status(name) for name in names if name.isdecimal()}
    words = {_check_word(name) for name in names if not name.isdecimal()}
    return RetryOn(tuple(word for word in WORDS if word in words), tuple(sorted(statuses)))


def _parse_status(text: str) -> int:
    if not (len(text) == 3 and 400 <= int(text) <= 599):
        raise SettingError(f"retry_on: {text} is not a status between 400 and 599")
    return int(text)


def _check_word(text: str) -> str:
    if text not in WORDS:
        nearest = find_nearest(text, WORDS)
        hint = f"did you mean '{nearest}'?" if nearest else f"one of {', '.join(WORDS)} or a status"
        raise SettingError(f"retry_on: '{text}' is not a reason to try again ({hint})")
    return text


def parse_schedule(text: str) -> tuple[float, ...]:
    """Return the seconds before each repetition; raises ValueError for what is no list of such."""
    delays = []
    for word in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\s*", word, re.ASCII)
        if not found or float(found[1]) > LONGEST_DELAY_S:
            raise ValueError(word)
        delays.append(float(found[1]))
    if len(delays) > MOST_DELAYS:
        raise ValueError(text)
    return tuple(delays)


def _read_retry_on(text: str) -> str:
    listed = parse_retry_on(text)
    return ",".join([*listed.words, *map(str, listed.statuses)])


def _read_schedule(text: str) -> str:
    parse_schedule(text)
    return text.replace(" ", "")  # as it was written: Perlbal's users know it by sight


RETRY_ON = Kind("list", _read_retry_on, lambda value: str(value) or "none", "")
SCHEDULE = Kind(
    "delays",
    _read_schedule,
    str,
    f"Expecting at most {MOST_DELAYS} delays in seconds for parameter '{{name}}', such as 0,.25,1",
)
