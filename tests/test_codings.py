"""Which responses are compressed, plain and compiled: the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.test_chore import BOTH, passage_of, said


@BOTH
@pytest.mark.parametrize(
    ("headers", "added", "is_compressed"),
    [
        ([("Content-Type", "text/a")], [("Vary", "Accept-Encoding")], True),
        ([("Content-Type", "text/a"), ("Content-Length", "9")], [], False),
        ([("Content-Type", "text/a"), ("Content-Length", "10")], [("Vary", "Accept-Encoding")], True),
        ([("Content-Type", "text/a"), ("Vary", "Cookie, accept-encoding")], [], True),
        ([("Content-Type", "text/a"), ("Vary", "*")], [], True),
        ([("Content-Type", "text/a"), ("Vary", "Cookie")], [("Vary", "Accept-Encoding")], True),
        ([("Content-Type", "text/a"), ("Vary", "accept-encoding"), ("vary", "Cookie")], [], True),
        ([("Content-Type", "text/a"), ("Cache-Control", "No-Transform")], [], False),
        ([("Content-Type", "text/a"), ("Content-Encoding", "br")], [], False),
        ([("Content-Type", "text/a"), ("Content-Range", "bytes */9")], [], False),
        ([("Content-Type", "image/a")], [], False),
        ([("Content-Type", "text/a"), ("Content-Length", "\u0669")], [], False),
        ([("Content-Type", "text/a"), ("Content-Length", f"{9:040}")], [], False),
        ([("Content-Type", "text/a"), ("Content-Length", "9" * 40)], [("Vary", "Accept-Encoding")], True),
        ([("Content-Type", "text/a"), ("Content-Length", "9 ")], [("Vary", "Accept-Encoding")], True),
    ],
    ids=[
        *("text", "short", "long enough", "varies", "by all", "by other", "by two"),
        *("no-transform", "coded", "a part", "image"),
        *("short in Arabic", "short with zeros", "very long", "told ill"),
    ],
)
def test_what_is_worth_it_is_compressed_and_varies(
    twin: ModuleType, headers: list[tuple[str, str]], added: list[tuple[str, str]], is_compressed: bool
) -> None:
    compressed: list[Any] = []
    chores = twin.Encodings(
        10,
        is_text=lambda kind: kind.startswith("text"),
        choose=lambda accepted: accepted or "identity",
        compress=lambda passage, coding: compressed.append(coding),
    )
    for method, accepted in (("GET", "gzip"), ("HEAD", "gzip"), ("GET", None)):
        environ = {"REQUEST_METHOD": method} | ({"HTTP_ACCEPT_ENCODING": accepted} if accepted else {})
        found = said(twin, headers, environ, shape=chores.shape)
        assert found.headers == headers + added
    assert compressed == ["gzip"] * is_compressed


@BOTH
@pytest.mark.parametrize("status", ["101 a", "204 a", "206 a", "304 a", "302 a", "", "1", "30"])
def test_what_has_no_text_of_its_own_is_not_compressed(twin: ModuleType, status: str) -> None:
    chores = twin.Encodings(0, is_text=bool, choose=lambda accepted: "gzip", compress=pytest.fail)
    found = passage_of(twin)
    found.shape = chores.shape
    found.start_response(status, [("Content-Type", "text/html")])
    assert found.headers == [("Content-Type", "text/html")]
