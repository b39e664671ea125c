"""Limits in real memcached when answers get lost: what was done is counted once, and by everybody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Self

import pytest

from tests.conftest import PATIENT_URL
from tests.live.test_limits_memcached import SECOND, Site
from tests.store.memcached.stage import KINDS, WHOLE, Relay, run_as, wait_until
from tools.real_memcached import Memcached
from wsgistack.errors import StoreDown
from wsgistack.store.memcached.wire import Patience

pytestmark = pytest.mark.live

RATE = "3/year"  # so that nothing comes back while a node is away
peers = (f"198.51.{number // 250}.{number % 250 + 1}" for number in count())


@pytest.fixture
def relay(memcached: Memcached) -> Iterator[Relay]:
    with Relay(memcached) as relay:
        yield relay


class Pair:
    """A process that asks by way of a relay, and another one; the first lets nobody pass whom nobody counted."""

    def __init__(self, relay: Relay, memcached: Memcached, **limits: Any) -> None:
        self.near = Site(memcached, rate=RATE, **limits)
        options = f"{PATIENT_URL}&on_down=miss"
        self.far = Site(relay.address, options=options, rate=RATE, on_store_error="closed", **limits)

    def __enter__(self) -> Self:
        assert self.far.ask(next(peers)) == "200"  # a connection is made
        return self

    def __exit__(self, *_: object) -> None:
        self.near.store.close()
        self.far.store.close()

    def comes_back(self) -> bool:
        """Tell whether the first one asks the server again."""
        self.far.now += 2 * SECOND
        return self.far.ask(next(peers)) != "503"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_whose_answer_is_lost_is_counted_once(
    kind: str, memcached: Memcached, relay: Relay
) -> None:
    """Wherever the connection ends: he does not pass, and takes a place all the same; nobody gets one more."""

    def script() -> None:
        with Pair(relay, memcached):
            length = len(relay.answer)
        for missing in range(1, length + 1):
            peer = next(peers)
            with Pair(relay, memcached) as pair:
                relay.lose_answer(missing)
                assert pair.far.ask(peer) == "503", missing
                assert [pair.near.ask(peer) for _ in range(3)] == ["200", "200", "429"], missing

    run_as(kind, script)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_is_cut_off_is_counted_if_its_record_has_come_whole(
    kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        with Pair(relay, memcached):
            length = len(relay.request)
        for place in range(length):
            peer = next(peers)
            with Pair(relay, memcached) as pair:
                relay.lose_request(place)
                assert pair.far.ask(peer) == "503", place
                is_counted = b";\r\n" in relay.request[:place]
                passed = [pair.near.ask(peer) for _ in range(4)].count("200")
                assert passed == (2 if is_counted else 3), (place, relay.request)

    run_as(kind, script)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", ["lost", "late"])
def test_what_is_counted_stays_when_the_server_is_used_again(
    trouble: str, kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        with Pair(relay, memcached) as pair:
            if trouble == "lost":
                relay.lose_answer()
                assert pair.far.ask() == "503"
            else:
                node = pair.far.store._cluster.nodes()[0]
                usual, node.patience = node.patience, Patience(0.05, 0.05)
                may_come = relay.hold_answer()
                assert pair.far.ask() == "503"
                node.patience = usual
                may_come.set()
            wait_until(pair.comes_back)
            assert [pair.far.ask(), pair.near.ask(), pair.far.ask()] == ["200", "200", "429"]

    run_as(kind, script)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [2, WHOLE])
def test_a_ban_whose_answer_is_lost_ends_no_other(
    missing: int, kind: str, memcached: Memcached, relay: Relay
) -> None:
    def script() -> None:
        with Pair(relay, memcached, bans_every=1) as pair:
            operators = [one.app.operator for one in (pair.far, pair.near)]
            for operator, who in zip(operators, ("192.0.2.1", "192.0.2.2"), strict=True):
                operator.ban(who)
            relay.lose_answer(missing)
            with pytest.raises(StoreDown):
                operators[0].ban("192.0.2.3")
            wait_until(pair.comes_back)
            for operator in operators:
                assert {one.key[-1] for one in operator.bans()} == {1, 2, 3}

    run_as(kind, script)
