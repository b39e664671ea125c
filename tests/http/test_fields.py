"""Fields as lists: combining, splitting, and what ends with a hop."""

import pytest

from wsgistack.http.fields import combine, hop_names, split_list, token_list, without

FIELDS = (
    ("Vary", "Accept"),
    ("Content-Type", "text/html"),
    ("vary", "Cookie"),
    ("Connection", "close, X-Hop"),
)


def test_a_field_of_two_lines_is_one_value() -> None:
    assert combine(FIELDS, "vary") == "Accept, Cookie"
    assert combine(FIELDS, "content-type") == "text/html"
    assert combine(FIELDS, "etag") is None


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ("", []),
        (" , ,\t", []),
        ("a,b", ["a", "b"]),
        ('a="x, y", b', ['a="x, y"', "b"]),
        (r'a="x\", y", b', [r'a="x\", y"', "b"]),
        ('a="never ends, b', ['a="never ends, b']),
        ('"', ['"']),
        ('"\\', ['"\\']),
    ],
    ids=[
        "empty",
        "commas",
        "two",
        "a comma in quotes",
        "an escaped quote",
        "an open quote",
        "a quote",
        "an escape",
    ],
)
def test_a_list_is_split_at_its_commas(value: str, members: list[str]) -> None:
    assert list(split_list(value)) == members


def test_names_are_compared_without_case_and_stand_once() -> None:
    assert token_list("Accept, accept , , COOKIE") == ("accept", "cookie")


def test_what_connection_names_ends_with_the_hop() -> None:
    assert {"x-hop", "close", "connection", "te"} <= hop_names(FIELDS)
    assert "vary" not in hop_names(FIELDS)
    assert "keep-alive" in hop_names(())


def test_fields_are_left_out_whatever_their_case() -> None:
    assert without(FIELDS, ("vary", "connection")) == (("Content-Type", "text/html"),)
