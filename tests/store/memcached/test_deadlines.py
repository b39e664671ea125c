"""Whoever has a deadline gets an answer by then, and the answer that comes later is nobody's."""

from __future__ import annotations

import os
import threading
import time

import gevent
import gevent.event
import pytest

from tests.conftest import PATIENT_URL
from tests.store.memcached.stage import KINDS, Fake, frozen, pause, run_as
from tools.real_memcached import Memcached
from wsgistack.errors import StoreDown
from wsgistack.store.base import is_bounded
from wsgistack.store.guarded import Guarded
from wsgistack.store.memcached.deadlines import Deadline, due
from wsgistack.store.url import make_store

GREETINGS = {b"mg wsgis": b"EN O1\r\nMN\r\n", b"version\r": b"VERSION 1.6.18\r\n"}


class Slow:
    """Answers `late!` to what is asked before `release` is set, and then; `right` to what is asked later."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.late: set[bytes] = set()

    def __call__(self, data: bytes, number: int) -> bytes:
        if data[:8] in GREETINGS:
            return GREETINGS[data[:8]]
        opaques = [line.split(b" O")[1] for line in data.split(b"\r\n")[:-1]]
        if not self.release.is_set():
            self.late.update(opaques)
            self.release.wait(30)
        return b"".join(
            [b"VA 5 f0 O%b\r\n%b\r\n" % (one, b"late!" if one in self.late else b"right") for one in opaques]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_guarded_store_is_cut_and_its_late_answer_is_nobodys(kind: str) -> None:
    slow = Slow()
    with Fake(slow) as server:
        store = make_store(f"memcached://{server.address}{PATIENT_URL}")
        guarded = Guarded(store, slow_s=0.1, failures=10_000)

        def script() -> list[object]:
            seen: list[object] = [guarded.get("key"), guarded.get("key")]
            slow.release.set()  # only now the server answers: both came back without it
            while seen[-1] is None:
                pause(0.01)
                seen.append(guarded.get("key"))
            seen += [store.get("key"), guarded.errors["get"] >= 2]
            store.close()
            return [*seen[:2], *seen[-3:]]

        assert run_as(kind, script) == [None, None, b"right", b"right", True]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_says_so_and_is_no_fault_of_the_node(kind: str, memcached: Memcached) -> None:
    store = make_store(f"memcached://{memcached.address}{PATIENT_URL}")
    large = os.urandom(8_000_000)

    def script() -> None:
        store.set("key", b"value", 60)
        assert is_bounded(store)
        with frozen(memcached):
            for call in (
                lambda: store.get("key"),
                lambda: store.get_many(["key", "other"]),
                lambda: store.set("large", large, 60),
            ):
                with pytest.raises(StoreDown, match=r"no answer (within|before)"), store.within(0.03):
                    call()
        assert store.get("key") == b"value"
        with store.within(30):
            assert store.get("key") == b"value"
        assert store.stats()["items"] >= 1  # of a node that is up
        store.close()

    run_as(kind, script)


def test_the_inner_of_two_deadlines_only_shortens_it_and_ends_with_its_block() -> None:
    def script() -> None:
        before = due.at
        with Deadline(1000):
            outer = due.at
            with Deadline(2000):
                assert due.at == outer
            with Deadline(10):
                assert due.at < outer
            assert due.at == outer
        assert due.at == before

    run_as("threads", script)  # in a thread that has no hub, whatever ran before


def test_time_in_which_the_process_stood_still_does_not_count() -> None:
    def script() -> bool:
        answer = gevent.event.Event()

        def stand_still() -> None:
            time.sleep(0.3)  # no greenlet runs, and the deadline passes
            gevent.sleep(0.05)
            answer.set()

        gevent.spawn(stand_still)
        with Deadline(0.1):
            return bool(answer.wait())

    assert run_as("greenlets", script) is True


def test_another_exception_goes_through() -> None:
    def script() -> None:
        with pytest.raises(LookupError), Deadline(30):
            raise LookupError

    for kind in KINDS:
        run_as(kind, script)
