"""Vary: names, and what means the same.  RFC 9111 §4.1"""

from __future__ import annotations

import pytest

from wsgistack.cache.head import ResponseHead
from wsgistack.cache.vary import names_of, selecting_of, vary_names


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([], ()),
        ([""], ()),
        (["Cookie, Accept"], ("accept", "cookie")),
        (["Cookie", "ACCEPT, cookie"], ("accept", "cookie")),
        (["*"], None),
        ([" *"], None),
        ([", *"], None),
        (["Accept", "*"], None),
        (["*, Accept"], None),
    ],
)
def test_names_are_in_one_order_and_a_star_fits_nothing(
    lines: list[str], names: tuple[str, ...] | None
) -> None:
    assert vary_names(ResponseHead(200, "OK", [("Vary", line) for line in lines])) == names


@pytest.mark.parametrize(
    ("fields", "is_coded", "names"),
    [
        ([("Content-Encoding", "br")], True, ("accept-encoding",)),
        ([("Content-Encoding", "br")], False, ()),
        (
            [("Content-Encoding", "br"), ("Vary", "Accept, Accept-Encoding")],
            True,
            ("accept", "accept-encoding"),
        ),
        ([("Content-Encoding", "br"), ("Vary", "Cookie, A")], True, ("a", "accept-encoding", "cookie")),
        ([("Vary", "Cookie")], True, ("cookie",)),
        ([], True, ()),
    ],
    ids=str,
)
def test_what_is_coded_is_chosen_by_the_codings_that_are_accepted(
    fields: list[tuple[str, str]], is_coded: bool, names: tuple[str, ...]
) -> None:
    assert names_of(ResponseHead(200, "OK", fields), is_coded=is_coded) == names


@pytest.mark.parametrize(
    ("name", "one", "other", "same", "same_reordered"),
    [
        ("foo", "1,2", " 1 , 2 ", True, True),
        ("foo", "1,2", "2,1", False, False),
        ("foo", "A", "a", False, False),
        ("foo", None, "", False, False),
        ("foo", "a", ",a", False, False),
        ("foo", "a,b", "a,,b", False, False),
        ("cookie", "a=1,2", "a=1, 2", False, False),
        ("cookie", "a=1", " a=1", False, False),
        ("accept-language", "en, de", "EN,de", True, True),
        ("accept-language", "en;q=0.5", "en ; q=0.5", True, True),
        ("accept-language", "en, de", "de, en", False, True),
        ("accept-language", "en, de;q=0.5", "de;q=0.5, en", False, True),
        ("accept-language", "en, de;q=0.5", "de, en;q=0.5", False, False),
        ("accept-encoding", "gzip, br", "br, gzip", False, True),
        ("user-agent", 'x "a, b"', 'x "a,b"', False, False),
    ],
)
def test_what_means_the_same_is_equal(
    name: str, one: str | None, other: str | None, same: bool, same_reordered: bool
) -> None:
    for reorders, expected in ((False, same), (True, same_reordered)):
        first, second = (selecting_of((name,), {name: said}.get, reorders=reorders) for said in (one, other))
        assert (first == second) is expected
