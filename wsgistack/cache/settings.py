"""The settings of a page cache: one table for keyword arguments, files, SET and the documentation."""

from __future__ import annotations

from wsgistack.cache.policy import PROFILES
from wsgistack.errors import SettingError
from wsgistack.http.codings import CODING_WORDS
from wsgistack.settings import BOOL, DURATION, INT, SIZE, TEXT, Setting, Table, make_choice
from wsgistack.store.memory import LEAST_BYTES

__all__ = ["MEMORY_BYTES", "SETTINGS", "check_number"]

MEMORY_BYTES = 64 * 1024 * 1024

PROFILE = make_choice(lambda: PROFILES, "profile: '{text}' is no profile")

SETTINGS = Table(
    "page_cache",
    [
        Setting(
            "profile",
            PROFILE,
            "anonymous",
            "who shares pages: `anonymous` visitors, or what `rfc9111` allows",
        ),
        Setting("store", TEXT, "", "where pages are kept, as a store's URL; without one in this process"),
        Setting(
            "max_bytes",
            SIZE,
            MEMORY_BYTES,
            "how much the pages in this process may take, where no store is named",
            least=LEAST_BYTES,
        ),
        Setting(
            "max_object", SIZE, 1024 * 1024, "the largest body that is kept; larger ones only pass", least=1
        ),
        Setting(
            "keep",
            DURATION,
            3600.0,
            "how long a page that can be validated is kept past the time it may be used",
        ),
        Setting(
            "stale_if_down",
            DURATION,
            3600.0,
            "how long past its lifetime a page stands in for an application that raises, if it does not say itself",
        ),
        Setting(
            "stale_if_error",
            DURATION,
            0.0,
            "how long it stands in for an answer of 500, 502, 503 or 504, if it does not say itself",
        ),
        Setting(
            "strict",
            BOOL,
            True,
            "a cookie that is neither ignored nor a key cookie is personal; off: only identity cookies are",
        ),
        Setting(
            "codings",
            CODING_WORDS,
            (),
            "content codings that pages are made in, the preferred first, such as `br, gzip`: what a client accepts becomes one of these, so that each form of a page is made and kept once; none: it stays as it came",
        ),
        Setting("coalesce", BOOL, True, "requests for a page that nobody has yet wait for the first of them"),
        Setting("coalesce_wait", DURATION, 10.0, "how long they wait at most, before they go on alone"),
        Setting(
            "verify",
            INT,
            0,
            "share a page only after so many fills were equal byte for byte; 0: after the first",
            most=100,
        ),
        Setting(
            "audit", BOOL, False, "take note of request fields that the application reads and no key carries"
        ),
    ],
)


def check_number(name: str, value: float, *, least: float) -> None:
    """Raise SettingError unless *value* is a number from *least* up."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise SettingError(f"{name}: {value!r} is not a number from {least:g} up")
