"""Cookie and Set-Cookie: finding one by name, and taking it out without touching the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.plane.cookies import find, find_set, without


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
