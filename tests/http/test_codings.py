"""Which content coding a client wants of those that there are.  RFC 9110 §12.5.3"""

from __future__ import annotations

import pytest

from wsgistack.errors import ConfigurationError
from wsgistack.http.codings import find_coding, read_codings

BOTH = ("br", "gzip")


@pytest.mark.parametrize(
    ("accepted", "found"),
    [
        (None, "identity"),
        ("", "identity"),
        (" , ,", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate, zstd", "identity"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.500", "br"),
        ("gzip ; q=0.5\t, br ;q=0.1 ", "gzip"),
        ("gzip;Q=1.000", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("*;q=0", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0.3, *;q=0.2", "gzip"),
        ("identity", "identity"),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.9", "identity"),
        ("identity;q=0.5, gzip;q=0.9", "gzip"),
        ("identity;q=0", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000", "identity"),
        ("gzip;q=0, gzip", "identity"),
        ("gzip, x-gzip;q=0", "identity"),
        ("br, br;q=0.1, gzip;q=0.5", "gzip"),
        ("gzip;q=banana", "identity"),
        ("gzip;q=1.5", "identity"),
        ("gzip;q=0.1234", "identity"),
        ("gzip;q=-1", "identity"),
        ("gzip;q =1", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip;", "identity"),
        ("gzip;q=1;q=0", "identity"),
        ('"gzip, br"', "identity"),
        ("gzip br", "identity"),
        ("notgzip, gzip2", "identity"),
        ("gzip\x00", "identity"),
        ("g\xa0zip", "identity"),
        (";q=1", "identity"),
        ("," * 10_000 + "gzip", "gzip"),
    ],
)
def test_the_coding_with_the_highest_weight_is_chosen_and_none_that_is_refused(
    accepted: str | None, found: str
) -> None:
    assert find_coding(accepted, BOTH) == found


def test_of_equals_the_first_offered_is_chosen() -> None:
    assert find_coding("br, gzip", ("gzip", "br")) == "gzip"
    assert find_coding("br, gzip", ()) == "identity"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["gzpi"], r"^codings: 'gzpi' is not one of br, deflate, gzip, zstd \(did you mean 'gzip'\?\)$"),
        (["identity"], "^codings: 'identity' is not one of br, deflate, gzip, zstd"),
        (["gzip", "GZIP"], "^codings: 'gzip' is listed twice$"),
        ("gzip", "^codings: 'gzip' is one text, expected a list of names$"),
    ],
    ids=str,
)
def test_what_is_no_list_of_codings_is_refused(names: list[str] | str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_codings(names, setting="codings")


def test_codings_are_read_in_lower_case_and_in_order() -> None:
    assert read_codings(["GZIP", "br"], setting="codings") == ("gzip", "br")
