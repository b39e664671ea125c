"""The ready table: what is published is answered whole or not at all, whoever dies, and never for another key."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.balancer.plane.ready_hammer import KEYS, SIZE, STEPS
from tests.house.source import ROOT
from wsgistack.balancer.plane.board import Board
from wsgistack.balancer.plane.ready_table import ReadyTable, ready_key

NOW = 1000.0
KEY = ready_key(3, b"http", b"example.com", b"/", b"gzip")
HEAD = b"HTTP/1.1 200 OK\r\nDate: today\r\n"


@pytest.fixture
def table() -> Iterator[ReadyTable]:
    table = ReadyTable.create(SIZE)
    yield table
    table.close()


def publish(
    table: ReadyTable, key: bytes = KEY, body: bytes = b"hello", *, expires_at: float = NOW + 60
) -> bool:
    return table.publish(
        key, head_before=HEAD, head_after=b"ETag: 1\r\n", body=body, born=NOW, expires_at=expires_at
    )


def key_of(number: int) -> bytes:
    return ready_key(3, b"http", b"example.com", b"/%d" % number, b"")


# -- what it holds -------------------------------------------------------------------------


def test_what_was_never_published_is_not_there(table: ReadyTable) -> None:
    assert table.get(KEY, NOW) is None


def test_a_page_is_answered_with_its_length_until_it_expires(table: ReadyTable) -> None:
    assert publish(table)
    found = (200, HEAD + b"ETag: 1\r\nContent-Length: 5\r\n", b"hello")
    assert table.get(KEY, NOW) == found
    assert table.get(KEY, NOW + 59.999) == found
    assert table.get(KEY, NOW + 60) is None


def test_a_page_without_content_has_no_length(table: ReadyTable) -> None:
    table.publish(
        KEY,
        head_before=b"HTTP/1.1 204 No Content\r\n",
        head_after=b"",
        body=b"",
        born=NOW,
        expires_at=NOW + 1,
    )
    assert table.get(KEY, NOW) == (204, b"HTTP/1.1 204 No Content\r\n", b"")


def test_who_attaches_sees_the_same(table: ReadyTable) -> None:
    publish(table)
    other = ReadyTable.attach(os.dup(table.fd))
    assert other.get(KEY, NOW) is not None
    table.clear()
    assert other.get(KEY, NOW) is None
    other.close()


def test_the_newest_page_of_a_key_is_answered(table: ReadyTable) -> None:
    publish(table, body=b"old")
    publish(table, body=b"new")
    found = table.get(KEY, NOW)
    assert found is not None
    assert found[2] == b"new"


def test_a_dropped_page_is_gone_and_the_others_stay(table: ReadyTable) -> None:
    publish(table)
    publish(table, key_of(1))
    assert table.drop(KEY)
    assert not table.drop(KEY)
    assert table.get(KEY, NOW) is None
    assert table.get(key_of(1), NOW) is not None


def test_clearing_forgets_everything_and_what_is_published_later_stays(table: ReadyTable) -> None:
    publish(table)
    before = table.generation
    table.clear()
    assert table.generation == before + 1
    assert table.get(KEY, NOW) is None
    publish(table)
    assert table.get(KEY, NOW) is not None


def test_a_full_table_forgets_the_oldest_pages(table: ReadyTable) -> None:
    for number in range(200):
        publish(table, key_of(number), b"x" * 1000)
    kept = [number for number in range(200) if table.get(key_of(number), NOW)]
    assert kept[-1] == 199
    assert min(kept) >= 144  # there is room for 56 of 1,152 bytes
    assert len(kept) > 45  # a set of the index has room for eight


def test_a_page_that_is_too_large_is_not_there_nor_the_one_before(table: ReadyTable) -> None:
    publish(table)
    assert not publish(table, body=b"x" * SIZE)
    assert table.get(KEY, NOW) is None
    assert table.stats()["too_large"] == 1


def test_the_largest_page_is_configurable() -> None:
    table = ReadyTable.create(1 << 20, 5000)
    assert publish(table, body=b"x" * 4000)
    assert not publish(table, body=b"x" * 5000)
    table.close()


def test_the_newest_page_is_found_however_full_the_index_is(table: ReadyTable) -> None:
    for number in range(3000):  # 256 slots
        publish(table, key_of(number), b"")
        assert table.get(key_of(number), NOW) is not None


def test_statistics_count_what_was_done(table: ReadyTable) -> None:
    publish(table)
    table.drop(KEY)
    table.clear()
    told = table.stats()
    assert (told["published"], told["dropped"], told["cleared"], told["size_bytes"]) == (1, 1, 1, SIZE)
    assert 0 < told["used_bytes"] < 512


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"HTTP/1.1 abc OK\r\n", b"", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK", b"", id="no end"),
        pytest.param(HEAD, b"ETag: 1", id="no end of what follows"),
    ],
)
def test_a_head_that_is_none_is_refused(table: ReadyTable, before: bytes, after: bytes) -> None:
    with pytest.raises(ValueError, match="head_"):
        table.publish(KEY, head_before=before, head_after=after, body=b"", born=NOW, expires_at=NOW + 1)


@pytest.mark.parametrize("size", [0, 1000, 1 << 40])
def test_a_size_that_makes_no_sense_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="ready_bytes"):
        ReadyTable.create(size)


def test_something_else_is_not_taken_for_a_table() -> None:
    fd = os.memfd_create("other")
    for size in (0, 100_000):
        os.ftruncate(fd, size)
        with pytest.raises(ValueError, match="ready"):
            ReadyTable.attach(fd)
    os.close(fd)


def test_a_scoreboard_brings_one_along_if_it_is_asked_to() -> None:
    board = Board.create(1, ready_bytes=SIZE)
    assert board.ready is not None
    assert publish(board.ready)
    other = Board.attach(os.dup(board.fd), ready=os.dup(board.ready.fd))
    assert other.ready is not None
    assert other.ready.get(KEY, NOW) is not None
    other.close()
    board.close()
    plain = Board.create(1)
    assert plain.ready is None
    plain.close()


# -- keys ----------------------------------------------------------------------------------

PARTS = st.tuples(
    st.integers(0, 63),
    st.sampled_from([b"http", b"https"]),
    st.binary(max_size=6),
    st.binary(max_size=6),
    st.binary(max_size=6),
)


@given(PARTS, PARTS)
def test_no_two_requests_share_a_key(
    one: tuple[int, bytes, bytes, bytes, bytes], other: tuple[int, bytes, bytes, bytes, bytes]
) -> None:
    assert (ready_key(*one) == ready_key(*other)) == (one == other)


def test_texts_that_run_together_make_other_keys() -> None:
    rng = random.Random(1)
    texts = [bytes(rng.choices(b"a/:,", k=12)) for _ in range(60)]
    cuts = [(a, b) for a in range(13) for b in range(a, 13)]
    made = [ready_key(0, b"http", t[:a], t[a:b], t[b:]) for t in texts for a, b in cuts]  # 5,460 ways
    ordered = sorted(made)
    assert all(one != other for one, other in pairwise(ordered))


@pytest.mark.parametrize(
    "parts", [(0, b"ftp", b"a", b"/", b""), (0, b"http", b"a", b"/" * 5000, b"")], ids=["scheme", "length"]
)
def test_what_makes_no_key_is_refused(parts: tuple[int, bytes, bytes, bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"scheme|at most"):
        ready_key(*parts)


# -- death ---------------------------------------------------------------------------------


def test_readers_never_see_a_page_that_is_not_whole_whenever_its_writer_dies() -> None:
    kills = 60  # more by hand: python -m tests.balancer.plane.ready_hammer 5000
    command = [sys.executable, "-m", "tests.balancer.plane.ready_hammer", str(kills)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["published_at_death"] < STEPS  # some died before, and one after
    assert told["published_at_death"] >= 1
    assert told["asked"] == kills * 300
    assert told["found"] > 0
    assert told["published"] > KEYS
