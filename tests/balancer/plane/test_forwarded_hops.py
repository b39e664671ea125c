"""Who asked, by Forwarded: the compiled reader says what http/forwarded.py says."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.plane.forwarded_hops import hops_of_text
from wsgistack.http.forwarded import hops_of_forwarded

MOST_HOPS = 64
LONGEST_HOP = 80


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        (b"for=192.0.2.1", [b"192.0.2.1"]),
        (b'for="[2001:db8:cafe::17]:4711";proto=https, By=x;FOR=192.0.2.1', [b"[2001:db8:cafe::17]:4711", b"192.0.2.1"]),
        (b'for="a\\"b", proto=http', [b'a"b', b""]),
        (b'for="", for=192.0.2.1;', [b"", b"192.0.2.1"]),
        (b'for=192.0.2.1, for="6.6.6.6', [b"192.0.2.1", b""]),
        (b"for=192.0.2.1, for =6.6.6.6, for=192.0.2.2", [b"192.0.2.1", b""]),
        (b"for=192.0.2.1, for=", [b"192.0.2.1", b""]),
        (b"for=192.0.2.1;for=192.0.2.2", [b""]),
        (b"for=192.0.2.1;proto=http;FOR=192.0.2.1, for=192.0.2.2", [b"", b"192.0.2.2"]),
        (b"for=192.0.2.1;host=a;Host=b, for=192.0.2.2;host=a", [b"", b"192.0.2.2"]),
        (b"for=192.0.2.1;proto=http;proto=http", [b""]),
        (b"by=_a;by=_b;for=192.0.2.1", [b""]),
        (b"for=192.0.2.1;by=_a;host=a;proto=http", [b"192.0.2.1"]),
        (b"x=1;for=192.0.2.1;x=2", [b"192.0.2.1"]),
        (b"for=192.0.2.1,", [b"192.0.2.1", b""]),
        (b'for="' + b"1" * 81 + b'"', [None]),
    ],
)  # fmt: skip
def test_an_element_has_a_hop_and_what_is_broken_ends_the_list(
    value: bytes, hops: list[bytes | None]
) -> None:
    assert hops_of_text(value) == hops


def test_of_a_long_list_the_last_hops_are_kept() -> None:
    value = b",".join(b"for=192.0.2.%d" % n for n in range(100))
    assert hops_of_text(value) == [b"192.0.2.%d" % n for n in range(36, 100)]


PIECES = [
    "for",
    "For",
    "proto",
    "host",
    "by",
    "=",
    ";",
    ",",
    '"',
    "\\",
    " ",
    "\t",
    "192.0.2.1",
    "[::1]:80",
    "_x",
    "\x85",
    "\xa0",
    "\xe9",
    "a",
]
values = st.lists(
    st.sampled_from([*PIECES, "for=", ", ", 'for="', '";', "by=a;", "host=a;", "Proto=a;", "for=a;"]),
    max_size=16,
).map("".join)


@settings(max_examples=examples(400), deadline=None)
@given(values)
@example("for=a;")
@example('for="a\\')
@example('for="" ;')
def test_the_compiled_reader_is_the_twin_of_the_plain_one(value: str) -> None:
    plain = hops_of_forwarded(value) or [""]
    plain = ["" if hop == "?" else hop for hop in plain][-MOST_HOPS:]
    expected = [hop.encode("latin-1") if len(hop) <= LONGEST_HOP else None for hop in plain]
    assert hops_of_text(value.encode("latin-1")) == expected
