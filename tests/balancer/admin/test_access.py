"""Who may use an admin port."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.admin.access import Attempts, Granted, Keys, Refused, admit
from wsgistack.balancer.admin_settings import make_digest

ADMIN, READER = "the-administrator", "whoever-may-read"
KEYS = Keys((make_digest(ADMIN),), (make_digest(READER),))
WRONG = Refused("wrong token", failed=True)
MISSING = Refused("a token is needed here")


@pytest.mark.parametrize(
    ("keys", "token", "verdict"),
    [
        (Keys(), None, Granted(readonly=False)),
        (Keys(), "anything", Granted(readonly=False)),
        (Keys(readonly=True), None, Granted(readonly=True)),
        (KEYS, ADMIN, Granted(readonly=False)),
        (KEYS, READER, Granted(readonly=True)),
        (KEYS, None, MISSING),
        (KEYS, "", WRONG),
        (KEYS, ADMIN.upper(), WRONG),
        (KEYS, make_digest(ADMIN), WRONG),
        (Keys(KEYS.admin, (), readonly=True), ADMIN, Granted(readonly=True)),
        (Keys(reader=KEYS.reader), ADMIN, WRONG),
        (Keys(reader=KEYS.reader), None, MISSING),
        (Keys(locked=True), None, MISSING),
        (Keys(locked=True), ADMIN, WRONG),
    ],
    ids=[
        "an open port",
        "an open port heeds no token",
        "a port for reading",
        "the administrator",
        "the reader",
        "no token",
        "an empty one",
        "case counts",
        "the digest is no token",
        "the port is for reading whatever the token",
        "only a reader's token",
        "only a reader's token, none shown",
        "a locked port",
        "a locked port, with a token",
    ],
)
def test_a_token_opens_what_it_is_for(keys: Keys, token: str | None, verdict: Granted | Refused) -> None:
    assert admit(keys, token, peer="10.0.0.1", attempts=Attempts(), now=0.0) == verdict


def test_after_five_wrong_tokens_even_the_right_one_waits() -> None:
    attempts = Attempts()
    for second in range(5):
        assert admit(KEYS, "guess", peer="10.0.0.1", attempts=attempts, now=float(second)) == WRONG
    refused = admit(KEYS, ADMIN, peer="10.0.0.1", attempts=attempts, now=10.0)
    assert refused == Refused("too many wrong tokens: try again in 50 s", retry_after_s=50.0)
    assert admit(KEYS, ADMIN, peer="10.0.0.2", attempts=attempts, now=10.0) == Granted(readonly=False)
    assert admit(KEYS, ADMIN, peer="10.0.0.1", attempts=attempts, now=60.0) == Granted(readonly=False)


def test_a_missing_token_is_no_attempt() -> None:
    attempts = Attempts()
    for _ in range(20):
        assert admit(KEYS, None, peer="10.0.0.1", attempts=attempts, now=0.0) == MISSING
    assert admit(KEYS, ADMIN, peer="10.0.0.1", attempts=attempts, now=0.0) == Granted(readonly=False)


def test_an_ipv6_site_has_as_many_attempts_as_one_address() -> None:
    attempts = Attempts()
    for last in range(5):
        attempts.fail(f"2001:db8::{last}", 0.0)
    assert attempts.wait_s("2001:db8::ffff", 1.0) == 59.0
    assert attempts.wait_s("2001:db8:0:1::1", 1.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 10)), max_size=50))
def test_whatever_fails_is_remembered_in_bounds(failures: list[tuple[int, float]]) -> None:
    attempts = Attempts()
    now = 0.0
    for peer, passed in failures:
        now += passed
        attempts.fail(f"10.{peer >> 8}.0.{peer & 255}", now)
        assert 0.0 <= attempts.wait_s(f"10.{peer >> 8}.0.{peer & 255}", now) <= 60.0


def test_of_many_peers_the_oldest_is_forgotten() -> None:
    attempts = Attempts()
    for _ in range(5):
        attempts.fail("10.0.0.1", 0.0)
    for peer in range(1024):
        attempts.fail(f"10.1.{peer >> 8}.{peer & 255}", 1.0)
    assert attempts.wait_s("10.0.0.1", 1.0) == 0.0
