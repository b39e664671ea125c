"""Who is asking: the compiled reader of hops says what http/forwarded.py says."""

from ipaddress import IPv4Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.plane.asker import parse_hop_text
from wsgistack.http.forwarded import parse_hop


def expected(text: str) -> bytes | None:
    address = parse_hop(text)
    if address is None:
        return None
    mapped = b"\0" * 10 + b"\xff\xff" if isinstance(address, IPv4Address) else b""
    return mapped + address.packed


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "00000000000000000000ffffc6336407"),
        ("198.51.100.7:51234", "00000000000000000000ffffc6336407"),
        ("[2001:db8::1]:443", "20010db8000000000000000000000001"),
        ("2001:DB8:0:0::1", "20010db8000000000000000000000001"),
        ("::ffff:198.51.100.7", "00000000000000000000ffffc6336407"),
        ("fe80::1%eth0", "fe800000000000000000000000000001"),
        ("[fe80::1%eth0]:8", "fe800000000000000000000000000001"),
        ("0198.051.100.007", None),
        ("unknown", None),
        ("garbage<script>", None),
        ("198.51.100.7:123456", None),
        ("198.51.100.7:", None),
        ("[2001:db8::1", None),
        ("", None),
        ("1" * 81, None),
    ],
)
def test_a_hop_is_an_address_or_nothing(text: str, address: str | None) -> None:
    found = parse_hop_text(text.encode())
    assert (found.hex() if found else None) == address


PIECES = [
    "1",
    "12",
    "255",
    "256",
    "01",
    "0",
    ".",
    ":",
    "::",
    "ffff",
    "db8",
    "abcde",
    "[",
    "]",
    "%",
    "eth0",
    " ",
    "\t",
    "x",
]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(), st.sampled_from(["", ":80", "%a", "]", ":99999", ":x"])).map(
        lambda t: f"{t[0]}{t[1]}"
    ),
    st.tuples(st.ip_addresses(), st.sampled_from(["", ":80", ":", "%z"])).map(lambda t: f"[{t[0]}]{t[1]}"),
)


@settings(max_examples=examples(400), deadline=None)
@given(texts)
@example("1:2")
@example("::1.2.3.4")
@example("1.2.3.4%eth0")
@example("fe80::1%a b")
def test_the_compiled_reader_is_the_twin_of_the_plain_one(text: str) -> None:
    assert parse_hop_text(text.encode("latin-1")) == expected(text)
