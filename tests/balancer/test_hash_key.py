"""What a request hashes by, and that the plane finds the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.hash_key import find_cookie, find_key, hash_text, parse_hash_key
from wsgistack.balancer.plane import cookies, keys


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ip", "ip"),
        ("URI", "uri"),
        ("Header:X-User", "header:x-user"),
        ("cookie:SID", "cookie:SID"),
    ],
)
def test_a_hash_key_is_read(text: str, value: str) -> None:
    assert parse_hash_key(text) == value


@pytest.mark.parametrize("text", ["", "host", "ip:x", "header", "header:", "cookie:a b", "header:é", "uri:"])
def test_what_is_no_hash_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not ip, uri, header:NAME or cookie:NAME"):
        parse_hash_key(text)


@pytest.mark.parametrize(
    ("hash_key", "text"),
    [
        ("ip", b"192.0.2.1"),
        ("uri", b"/a?b"),
        ("header:x-user", b"anna"),
        ("cookie:sid", b"42"),
        ("header:absent", None),
        ("cookie:absent", None),
        ("header:empty", None),
    ],
)
def test_a_request_hashes_by_what_the_setting_names(hash_key: str, text: bytes | None) -> None:
    fields = {"x-user": "anna", "cookie": "a=1; sid=42", "empty": ""}
    key = find_key(hash_key, peer="192.0.2.1", target="/a?b", field=fields.get)
    assert key == (None if text is None else hash_text(text))


COOKIES = [
    ("sid=1", "1"),
    ("a=0; sid=1; b=2", "1"),
    ("a=0;sid=1", "1"),
    ("sid=1; sid=2", "1"),
    ('sid="1"', '"1"'),
    ('sid="', '"'),
    ("sid= 1 ;", " 1"),
    ("sid=a=b", "a=b"),
    ("sid=", ""),
    ("xsid=1", None),
    ("sid2=1", None),
    ("SID=1", None),
    ("sid", None),
    ("", None),
    ("; ;sid", None),
]


@pytest.mark.parametrize(("value", "found"), COOKIES, ids=[value or "empty" for value, _ in COOKIES])
def test_a_cookie_is_found_by_its_name(value: str, found: str | None) -> None:
    assert find_cookie(value, "sid") == found


@given(value=st.text(alphabet='sid=;" \tx', max_size=20))
def test_the_plane_finds_the_same_cookie(value: str) -> None:
    here = find_cookie(value, "sid")
    assert cookies.find(value.encode(), b"sid") == (None if here is None else here.encode())


@given(text=st.binary(max_size=60))
def test_the_plane_hashes_alike(text: bytes) -> None:
    assert keys.hash_bytes(text) == hash_text(text)


def test_hashes_of_similar_texts_are_spread() -> None:
    buckets = [0] * 16
    for i in range(1600):
        buckets[hash_text(b"192.0.2.%d" % i) >> 28] += 1
    assert 50 < min(buckets) <= max(buckets) < 150
