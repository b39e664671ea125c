"""The reader of replies, plain and compiled: every answer to its own request, whatever the portions."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.store.memcached import replies, replies_cy, wire
from wsgistack.store.memcached.replies import Item, Reply

Ask = tuple[str, Any]
TWINS = [replies, replies_cy]
both = pytest.mark.parametrize("twin", TWINS, ids=["plain", "compiled"])


def make_reader(twin: ModuleType, asks: list[Ask]) -> Any:
    """Return a reader that expects ("get" or "bare", keys), ("lines", (count, opaque, is_fatal)), ("quiet", (count, opaque)), ("stats", None)."""
    reader = twin.Replies()
    for kind, what in asks:
        if kind == "get":
            reader.expect_values(what)
        elif kind == "bare":
            reader.expect_bare(what)
        elif kind == "lines":
            reader.expect_lines(*what)
        elif kind == "quiet":
            reader.expect_quiet(*what)
        else:
            reader.expect_stats()
    return reader


def read(twin: ModuleType, asks: list[Ask], portions: list[bytes]) -> tuple[list[Any], str | None, int]:
    """Return all answers, the fault, and how many answers are still to come."""
    reader = make_reader(twin, asks)
    answers = [answer for portion in portions for answer in reader.receive(portion)]
    return answers, reader.fault, len(reader)


GET = ("get", [b"a", b"b", b"c"])
BARE = ("bare", [b"a", b"b", b"c"])
ONE = ("lines", (1, 7, False))
STORE = ("lines", (1, 7, True))
TEXT = ("lines", (1, 0, False))
STATS = ("stats", None)
QUIET = ("quiet", (3, 7))

ANSWERS: dict[str, tuple[list[Ask], bytes, list[Any]]] = {
    "all values": (
        [GET],
        b"VALUE a 0 1\r\nA\r\nVALUE b 5 0\r\n\r\nVALUE c 0 2\r\n\r\n\r\nEND\r\n",
        [[Item(b"A", 0, 0), Item(b"", 5, 0), Item(b"\r\n", 0, 0)]],
    ),
    "some values": ([GET], b"VALUE b 0 1\r\nB\r\nEND\r\n", [[None, Item(b"B", 0, 0), None]]),
    "no value": ([GET], b"END\r\n", [[None, None, None]]),
    "values with their tokens": (
        [GET],
        b"VALUE a 0 1 18446744073709551615\r\nA\r\nEND\r\n",
        [[Item(b"A", 0, 2**64 - 1), None, None]],
    ),
    "all values, bare": (
        [BARE],
        b"VALUE a 0 1\r\nA\r\nVALUE b 0 12\r\nlong\r\nenough\r\nVALUE c 0 2\r\n\r\n\r\nEND\r\n",
        [[b"A", b"long\r\nenough", b"\r\n"]],
    ),
    "some values, bare": ([BARE], b"VALUE b 0 1\r\nB\r\nEND\r\n", [[None, b"B", None]]),
    "no value, bare": ([BARE], b"END\r\n", [[None, None, None]]),
    "bare values among those that are more than bytes": (
        [BARE],
        b"VALUE a 5 1\r\nA\r\nVALUE b 0 0\r\n\r\nVALUE c 0 1\r\nC\r\nEND\r\n",
        [[Item(b"A", 5, 0), Item(b"", 0, 0), b"C"]],
    ),
    "bare values with tokens and with zeros in front": (
        [BARE],
        b"VALUE a 0 1 7\r\nA\r\nVALUE b 00 01\r\nB\r\nVALUE c 0 0000000000001\r\nC\r\nEND\r\n",
        [[Item(b"A", 0, 7), b"B", b"C"]],
    ),
    "bare values between others": (
        [ONE, BARE, GET, BARE],
        b"HD O7\r\nVALUE a 0 9\r\nAAAAAAAAA\r\nEND\r\nVALUE a 0 1\r\nA\r\nEND\r\nVALUE c 0 1\r\nC\r\nEND\r\n",
        [
            [Reply(b"HD")],
            [b"AAAAAAAAA", None, None],
            [Item(b"A", 0, 0), None, None],
            [None, None, b"C"],
        ],
    ),
    "an error for bare values": ([BARE], b"SERVER_ERROR no room\r\n", [Reply(b"SERVER_ERROR", b"no room")]),
    "an error for values": ([GET], b"SERVER_ERROR no room\r\n", [Reply(b"SERVER_ERROR", b"no room")]),
    "a value with everything": (
        [ONE],
        b"VA 2 f5 c1 t-1 ka O7 X W\r\nhi\r\n",
        [[Reply(b"VA", b"hi", 5, 1, -1, b"WX")]],
    ),
    "a value that somebody makes": ([ONE], b"VA 0 t30 O7 Z\r\n\r\n", [[Reply(b"VA", b"", 0, 0, 30, b"Z")]]),
    "a miss": ([ONE], b"EN O7 knokey\r\n", [[Reply(b"EN")]]),
    "stored": ([STORE], b"HD O7\r\n", [[Reply(b"HD")]]),
    "not stored": ([STORE], b"NS O7\r\n", [[Reply(b"NS")]]),
    "too large": ([STORE], b"SERVER_ERROR too large\r\n", [[Reply(b"SERVER_ERROR", b"too large")]]),
    "not a number": ([ONE], b"CLIENT_ERROR non-numeric\r\n", [[Reply(b"CLIENT_ERROR", b"non-numeric")]]),
    "three lines": (
        [("lines", (3, 7, True))],
        b"HD O7\r\nNF O8\r\nHD O9\r\n",
        [[Reply(b"HD"), Reply(b"NF"), Reply(b"HD")]],
    ),
    "a version": ([TEXT], b"VERSION 1.6.18\r\n", [[Reply(b"VERSION", b"1.6.18")]]),
    "nothing done": ([TEXT], b"MN\r\n", [[Reply(b"MN", b"")]]),
    "an unknown command": ([TEXT], b"ERROR\r\n", [[Reply(b"ERROR", b"")]]),
    "statistics": (
        [STATS],
        b"STAT pid 7\r\nSTAT version 1.6 x\r\nEND\r\n",
        [{b"pid": b"7", b"version": b"1.6 x"}],
    ),
    "what is in a slab": (
        [STATS],
        b"ITEM key:1 [5 b; 0 s]\r\nITEM b [1 b; 9 s]\r\nEND\r\n",
        [{b"key:1": b"[5 b; 0 s]", b"b": b"[1 b; 9 s]"}],
    ),
    "statistics by prefix": ([STATS], b"PREFIX a get 2 hit 1\r\nEND\r\n", [{b"a": b"get 2 hit 1"}]),
    "statistics that were reset": ([STATS], b"RESET\r\n", [{}]),
    "quiet requests that all did well": ([QUIET], b"MN\r\n", [[Reply(b"HD")] * 3]),
    "quiet requests of which one was refused": (
        [QUIET],
        b"NS O8\r\nMN\r\n",
        [[Reply(b"HD"), Reply(b"NS"), Reply(b"HD")]],
    ),
    "quiet requests that were all refused": (
        [QUIET],
        b"NS O7\r\nEX O8\r\nNF O9\r\nMN\r\n",
        [[Reply(b"NS"), Reply(b"EX"), Reply(b"NF")]],
    ),
    "quiet requests of which nobody knows which was refused": (
        [QUIET],
        b"NS O7\r\nSERVER_ERROR too large\r\nMN\r\n",
        [Reply(b"SERVER_ERROR", b"too large")],
    ),
    "quiet requests between others": (
        [ONE, QUIET, ONE],
        b"HD O7\r\nMN\r\nEN O7\r\n",
        [[Reply(b"HD")], [Reply(b"HD")] * 3, [Reply(b"EN")]],
    ),
    "several requests": (
        [GET, STORE, ONE, TEXT],
        b"VALUE c 0 1\r\nC\r\nEND\r\nHD O7\r\nEN O7\r\nOK\r\n",
        [[None, None, Item(b"C", 0, 0)], [Reply(b"HD")], [Reply(b"EN")], [Reply(b"OK", b"")]],
    ),
}

FAULTS: dict[str, tuple[list[Ask], bytes, str]] = {
    "the answer of another request": ([ONE], b"HD O8\r\n", "an answer to another request: 8 instead of 7"),
    "an answer without its number": ([ONE], b"HD\r\n", "an answer to another request: 0 instead of 7"),
    "lines in another order": (
        [("lines", (2, 7, True))],
        b"HD O8\r\nHD O7\r\n",
        "an answer to another request: 8 instead of 7",
    ),
    "a quiet request that nobody made": ([QUIET], b"NS O10\r\n", "an answer to another request: 10"),
    "quiet requests in another order": (
        [QUIET],
        b"NS O8\r\nNS O7\r\n",
        "an answer to another request: 7",
    ),
    "a quiet request without its number": ([QUIET], b"NS\r\n", "an answer to another request: 0"),
    "a value for quiet requests": (
        [QUIET],
        b"VA 2 O7\r\nhi\r\n",
        "not an answer to quiet requests: b'VA 2 O7'",
    ),
    "a quiet payload that was read as commands": (
        [QUIET],
        b"ERROR\r\n",
        "the server did not understand: b'ERROR'",
    ),
    "a value of another key": (
        [GET],
        b"VALUE d 0 1\r\nD\r\nEND\r\n",
        "a value of a key that was not asked for: b'd'",
    ),
    "a bare value of another key": (
        [BARE],
        b"VALUE d 0 9\r\nDDDDDDDDD\r\nEND\r\n",
        "a value of a key that was not asked for: b'd'",
    ),
    "a bare value of a longer key": (
        [BARE],
        b"VALUE aa 0 9\r\nAAAAAAAAA\r\nEND\r\n",
        "a value of a key that was not asked for: b'aa'",
    ),
    "a bare value that is longer than said": (
        [BARE],
        b"VALUE a 0 8\r\nAAAAAAAAA\r\nEND\r\n",
        "a value that is longer than said",
    ),
    "a bare value more than was asked": (
        [("bare", [b"a"])],
        b"VALUE a 0 9\r\nAAAAAAAAA\r\nVALUE a 0 9\r\nAAAAAAAAA\r\nEND\r\n",
        "a value of a key that was not asked for: b'a'",
    ),
    "a bare value without a size": ([BARE], b"VALUE a 0 \r\nEND\r\n....", "not a number: b''"),
    "values in another order": (
        [GET],
        b"VALUE b 0 1\r\nB\r\nVALUE a 0 1\r\nA\r\nEND\r\n",
        "a value of a key that was not asked for: b'a'",
    ),
    "one value twice": (
        [("get", [b"a"])],
        b"VALUE a 0 1\r\nA\r\nVALUE a 0 1\r\nA\r\nEND\r\n",
        "a value of a key that was not asked for: b'a'",
    ),
    "more than was asked": ([TEXT], b"OK\r\nOK\r\n", "an answer that nobody asked for: b'OK\\r\\n'"),
    "a value that is longer than said": ([ONE], b"VA 1 O7\r\nhi\r\n", "a value that is longer than said"),
    "a line without CR": ([ONE], b"HD O7\n", "a line that ends without CR"),
    "an empty line": ([ONE], b"\n", "a line that ends without CR"),
    "another protocol": ([ONE], b"HTTP/1.1 400 No\r\n", "not an answer: b'HTTP/1.1 400 No'"),
    "a negative length": ([ONE], b"VA -1 O7\r\n", "not a number: b'-1'"),
    "no length": ([ONE], b"VA\r\n", "not a number: b''"),
    "a length above all bounds": (
        [ONE],
        b"VA 99999999999999999999 O7\r\n",
        "a number that is too large: 99999999999999999999",
    ),
    "a token above all bounds": (
        [ONE],
        b"HD c18446744073709551616 O7\r\n",
        "a number that is too large: 18446744073709551616",
    ),
    "a plain line for a numbered one": ([ONE], b"OK\r\n", "b'OK' where a numbered line was expected"),
    "a payload that was read as commands": (
        [STORE],
        b"CLIENT_ERROR bad data chunk\r\n",
        "the server did not understand: b'CLIENT_ERROR bad data chunk'",
    ),
    "a get that was not understood": ([GET], b"ERROR\r\n", "the server did not understand: b'ERROR'"),
    "a line without an end": ([ONE], b"V" * 8192, "a line without an end"),
    "words in statistics": ([STATS], b"what\r\n", "not an answer to stats: b'what'"),
    "a word too few in values": ([GET], b"VALUE a 0\r\n", "not an answer to get: b'VALUE a 0'"),
    "letters for digits": ([GET], b"VALUE a x 1\r\n", "not a number: b'x'"),
}


@both
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read(name: str, twin: ModuleType) -> None:
    asks, data, expected = ANSWERS[name]
    assert read(twin, asks, [data]) == (expected, None, 0)


@both
@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_the_same_answer_byte_by_byte(name: str, twin: ModuleType) -> None:
    asks, data, expected = ANSWERS[name]
    assert read(twin, asks, [bytes([byte]) for byte in data]) == (expected, None, 0)


@both
@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_fit_is_a_fault(name: str, twin: ModuleType) -> None:
    asks, data, words = FAULTS[name]
    assert read(twin, asks, [data])[1] == words


@both
@pytest.mark.parametrize("name", FAULTS)
def test_it_is_the_same_fault_byte_by_byte(name: str, twin: ModuleType) -> None:
    asks, data, words = FAULTS[name]
    assert read(twin, asks, [bytes([byte]) for byte in data])[1] == words


@both
def test_answers_before_a_fault_are_given_and_none_behind_it(twin: ModuleType) -> None:
    reader = make_reader(twin, [ONE, ONE, ONE])
    assert reader.receive(b"HD O7\r\ngarbage\r\nHD O7\r\n") == [[Reply(b"HD")]]
    assert reader.fault == "not an answer: b'garbage'"
    assert reader.receive(b"HD O7\r\n") == []


@both
def test_a_large_value_in_many_portions_is_whole(twin: ModuleType) -> None:
    value = random.Random(4).randbytes(3_000_000)
    data = b"VA 3000000 O7\r\n" + value + b"\r\n"
    portions = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
    assert read(twin, [ONE], portions) == ([[Reply(b"VA", value)]], None, 0)


@both
def test_a_bare_value_is_read_whatever_its_size_has_for_digits(twin: ModuleType) -> None:
    for size in (1, 9, 10, 99, 100, 99_999_999 // 50):
        value = b"v" * size
        data = b"VALUE b 0 %d\r\n%b\r\nEND\r\n" % (size, value)
        assert read(twin, [BARE], [data]) == ([[None, value, None]], None, 0)
        assert read(twin, [BARE], [data[:-5], data[-5:]]) == ([[None, value, None]], None, 0)


WORDS = st.sampled_from(
    [
        *(
            b"VALUE a 0 9\r\nAAAAAAAAA\r\n",
            b"VALUE b 0 10\r\nBBBBBBBBBB\r\n",
            b"VALUE c 7 9\r\nCCCCCCCCC\r\n",
        ),
        *(b"VALUE a 0 1\r\nA\r\n", b"VALUE b 0 3\r\nBBB\r\n", b"END\r\n", b"HD O7\r\n", b"EN O7\r\n"),
        *(b"NF O8\r\n", b"VA 2 f1 O7 W\r\nhi\r\n", b"VA 2 O8\r\nhi\r\n", b"OK\r\n", b"MN\r\n", b"ERROR\r\n"),
        *(b"STAT a b\r\n", b"SERVER_ERROR x\r\n", b"CLIENT_ERROR y\r\n", b"RESET\r\n"),
        *(b"\r\n", b"\n", b" ", b"VA", b"1", b"O", b"t-1"),
    ]
)
BYTES = st.lists(st.one_of(WORDS, st.binary(max_size=6)), max_size=12).map(b"".join)
ASKS = st.lists(
    st.sampled_from(
        [GET, BARE, BARE, ONE, STORE, TEXT, STATS, QUIET, ("lines", (2, 7, False)), ("lines", (3, 7, True))]
    ),
    max_size=5,
)
PLACES = st.lists(st.integers(0, 10_000), max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return *data* in portions, cut at *places* (modulo its length)."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(asks=ASKS, data=BYTES, places=PLACES)
def test_any_bytes_in_any_portions_mean_the_same_to_both_twins(
    asks: list[Ask], data: bytes, places: list[int]
) -> None:
    whole = read(replies, asks, [data])
    assert read(replies, asks, cut(data, places)) == whole
    assert read(replies_cy, asks, [data]) == whole
    assert read(replies_cy, asks, cut(data, places)) == whole


NUMBERED = st.sampled_from([b"HD", b"EN", b"NF"])


@both
@given(
    asked=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    came=st.lists(st.tuples(NUMBERED, st.integers(1, 9)), max_size=8),
)
def test_an_answer_only_goes_to_the_request_of_its_number(
    twin: ModuleType, asked: list[int], came: list[tuple[bytes, int]]
) -> None:
    data = b"".join(b"%b O%d\r\n" % one for one in came)
    answers, _, _ = read(twin, [("lines", (1, number, False)) for number in asked], [data])
    given_to = [(answer[0].code, number) for answer, number in zip(answers, asked, strict=False)]
    assert given_to == came[: len(answers)]


def test_the_compiled_reader_is_used_where_it_was_built() -> None:
    assert wire.Replies is replies_cy.Replies


@both
def test_an_answer_has_the_hash_of_what_it_equals(twin: ModuleType) -> None:
    (items,), _, _ = read(twin, [GET], [b"VALUE a 5 1 9\r\nA\r\nEND\r\n"])
    assert items[0] == Item(b"A", 5, 9)
    assert hash(items[0]) == hash((b"A", 5, 9))
    (reply,), _, _ = read(twin, [ONE], [b"VA 1 f5 c9 O7\r\nA\r\n"])
    (reply,) = reply if isinstance(reply, list) else [reply]
    assert type(reply) is Reply
    assert hash(reply) == hash(tuple(reply))
