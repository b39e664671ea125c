"""Which fields were read although no key carries them."""

from collections.abc import Callable
from typing import Any

import pytest

from wsgistack.cache.audit import Audit, Reads, Unkeyed

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "HTTP_HOST": "example.com",
    "HTTP_USER_AGENT": "curl",
    "HTTP_COOKIE": "lang=en; theme=dark",
    "HTTP_ACCEPT_LANGUAGE": "en",
    "CONTENT_TYPE": "",
}


@pytest.mark.parametrize(
    "read",
    [
        lambda environ: environ["HTTP_USER_AGENT"],
        lambda environ: environ.get("HTTP_USER_AGENT"),
        lambda environ: "HTTP_USER_AGENT" in environ,
        lambda environ: environ.pop("HTTP_USER_AGENT", ""),
        lambda environ: environ.setdefault("HTTP_USER_AGENT", ""),
        lambda environ: environ.copy()["HTTP_USER_AGENT"],
    ],
    ids=["item", "get", "in", "pop", "setdefault", "a copy"],
)
def test_a_read_is_noted(read: Callable[[Any], Any]) -> None:
    reads = Reads(ENVIRON)
    read(reads)
    assert reads.names == {"user-agent"}


def test_a_field_that_was_asked_for_and_is_not_there_was_read() -> None:
    reads = Reads(ENVIRON)
    assert reads.get("HTTP_X_THEME", "none") == "none"
    assert reads.names == {"x-theme"}


def test_what_is_no_field_is_not_noted() -> None:
    reads = Reads(ENVIRON)
    assert reads["REQUEST_METHOD"] == "GET"
    assert reads.names == set()


@pytest.mark.parametrize(
    "walk", [list, dict.items, dict.keys, dict.values], ids=["iter", "items", "keys", "values"]
)
def test_a_walk_over_all_is_noted(walk: Callable[[Any], Any]) -> None:
    reads = Reads(ENVIRON)
    getattr(reads, getattr(walk, "__name__", ""), lambda: list(reads))()
    assert reads.walked


def test_only_what_no_key_carries_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(["X-Forwarded-Proto"])
    for url in ("http://a/1", "http://a/2"):
        reads = Reads(ENVIRON)
        for name in ("HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT_LANGUAGE", "HTTP_X_FORWARDED_PROTO"):
            reads.get(name)
        audit.take(reads, url=url, varies_by=["accept-language"])
    assert audit.report() == [Unkeyed("user-agent", "http://a/1", 2)]
    assert [record.message.split()[0] for record in caplog.records] == ["unkeyed-field-read"]


def test_the_cookies_that_could_be_read_are_named() -> None:
    audit = Audit([])
    reads = Reads(ENVIRON)
    reads.get("HTTP_COOKIE")
    audit.take(reads, url="http://a/", varies_by=[])
    assert audit.report() == [Unkeyed("cookie", "http://a/", 1, ("lang", "theme"))]


def test_what_is_withheld_is_not_reported() -> None:
    audit = Audit([], shown=lambda name: name != "x-forwarded-host")
    reads = Reads(ENVIRON)
    reads.get("HTTP_X_FORWARDED_HOST")
    audit.take(reads, url="http://a/", varies_by=[])
    assert audit.report() == []


def test_urls_for_which_all_was_gone_over_are_named() -> None:
    audit = Audit([])
    reads = Reads(ENVIRON)
    dict(reads.items())
    audit.take(reads, url="http://a/", varies_by=[])
    assert audit.walked() == ["http://a/"]
    assert audit.report() == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgistack.cache.audit.MOST_FIELDS", 2)
    audit = Audit([])
    reads = Reads({})
    for number in range(5):
        reads.get(f"HTTP_X_{number}")
    audit.take(reads, url="http://a/", varies_by=[])
    assert [found.name for found in audit.report()] == ["x-0", "x-1"]
