"""Cookie and Set-Cookie: finding one by name, and taking it out without touching the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.cookies import find, find_set, without
from wsgistack.balancer.plane.exchange_face import ExchangeFace
from wsgistack.balancer.plane.wire import rewrite_request


@pytest.mark.parametrize(
    ("value", "found", "rest"),
    [
        (b"node=x", b"x", b""),
        (b"node=x; a=1", b"x", b"a=1"),
        (b"a=1; node=x", b"x", b"a=1"),
        (b"a=1; node=x; b=2", b"x", b"a=1; b=2"),
        (b"a=1;node=x;b=2", b"x", b"a=1; b=2"),
        (b" node=x ;; a=1;", b"x", b"a=1"),
        (b"node=x; node=y", b"x", b""),
        (b"node=", b"", b""),
        (b'node="x"', b'"x"', b""),
        (b"node=a=b", b"a=b", b""),
        (b"nodes=x", None, b"nodes=x"),
        (b"Node=x", None, b"Node=x"),
        (b"xnode=x", None, b"xnode=x"),
        (b"a=node=x", None, b"a=node=x"),
        (b"node", None, b"node"),
        (b"node =x", None, b"node =x"),
        (b"", None, b""),
        (b";", None, b""),
    ],
)
def test_a_cookie_is_found_and_taken_out(value: bytes, found: bytes | None, rest: bytes) -> None:
    assert find(value, b"node") == found
    assert without(value, b"node") == rest


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"sid=abc", b"abc"),
        (b"sid=abc; Path=/; HttpOnly", b"abc"),
        (b"sid=; Max-Age=0", b""),
        (b"other=1; sid=abc", None),
        (b"SID=abc", None),
        (b"", None),
    ],
)
def test_only_the_cookie_itself_is_looked_at_when_it_is_set(value: bytes, found: bytes | None) -> None:
    assert find_set(value, b"sid") == found


@given(st.lists(st.sampled_from([b"node=x", b"a=1", b"node", b"", b"b= 2", b"node=", b" "]), max_size=8))
def test_what_is_left_holds_every_other_cookie_in_order(pieces: list[bytes]) -> None:
    rest = without(b";".join(pieces), b"node")
    assert len(rest) <= sum(map(len, pieces)) + 2 * len(pieces)
    assert find(rest, b"node") is None
    kept = [p.strip() for p in pieces if p.strip() and not p.strip().startswith(b"node=")]
    assert [p for p in rest.split(b"; ") if p] == kept


def test_cookies_without_blanks_between_them_have_room_to_grow() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: n=1;" + b"x;" * 4000 + b"\r\n\r\n"
    (line,) = [x for x in rewrite_request(head, cookie=b"n").split(b"\r\n") if x.startswith(b"Cookie")]
    assert line == b"Cookie: " + b"; ".join([b"x"] * 4000)


def test_both_our_cookies_are_taken_out_and_the_bucket_is_told_by_us_alone() -> None:
    lines = rewrite_request(
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: n=1;a=2;s=3; b=4\r\nWsgistack-Bucket: forged\r\n\r\n",
        cookie=b"n",
        split_cookie=b"s",
        bucket=b"beta",
    ).split(b"\r\n")
    assert b"Cookie: a=2; b=4" in lines
    assert [x for x in lines if x.lower().startswith(b"wsgistack-bucket")] == [b"Wsgistack-Bucket: beta"]


@pytest.mark.parametrize(
    ("came", "goes"),
    [(b"s=1", b""), (b"s=1; a=2", b"a=2"), (b"a=2", b"a=2"), (b"=1; s=2", b"=1")],
    ids=["alone", "first", "not there", "a nameless one stays"],
)
def test_the_cookie_of_a_split_is_taken_out_where_no_session_sticks(came: bytes, goes: bytes) -> None:
    head = rewrite_request(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + came + b"\r\n\r\n", split_cookie=b"s")
    assert [x[8:] for x in head.split(b"\r\n") if x.startswith(b"Cookie: ")] == [goes] * bool(goes)


@pytest.mark.parametrize(
    ("sets", "passes"),
    [
        ([b"w=1; Path=/"], []),
        ([b"w=1", b"a=2", b"w=3"], [b"a=2"]),
        ([b"ww=1", b"W=1", b"a=w=1"], [b"ww=1", b"W=1", b"a=w=1"]),
        ([], []),
    ],
    ids=["alone", "among others", "others", "none"],
)
def test_a_cookie_of_ours_is_set_by_nobody_else(sets: list[bytes], passes: list[bytes]) -> None:
    face = ExchangeFace()
    face.client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    face.only_ours(b"w")
    lines = [b"Set-Cookie: " + one for one in sets]
    face.node(b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"X-A: 1", b"Content-Length: 0", b"", b""]))
    came = [line for line in face.to_client.split(b"\r\n") if line.startswith(b"Set-Cookie")]
    assert came == [b"Set-Cookie: " + one for one in passes]
    assert b"X-A: 1" in face.to_client
