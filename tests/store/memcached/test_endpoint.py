"""What configuration endpoints say, and what of it is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.errors import Unreadable
from wsgistack.store.memcached.addresses import Address
from wsgistack.store.memcached.endpoint import MOST_BYTES, Book, Configuration, read_answer

A, B, C = Address("a.cache", 11211), Address("10.0.0.2", 11212), Address("::1", 11211)


def config(text: bytes, head: bytes = b"CONFIG cluster 0") -> bytes:
    return b"%b %d\r\n%b\r\nEND\r\n" % (head, len(text), text)


ANSWERS: dict[str, tuple[bytes, Configuration | str]] = {
    "one node": (config(b"1\na.cache|10.0.0.1|11211\n"), Configuration(1, (A,))),
    "several": (
        config(b"12\na.cache|10.0.0.1|11211 10.0.0.2|10.0.0.2|11212 ::1|::1|11211\n"),
        Configuration(12, (A, B, C)),
    ),
    "without an ip": (config(b"1\na.cache||11211\n"), Configuration(1, (A,))),
    "without a host": (config(b"1\n|10.0.0.2|11212\n"), Configuration(1, (B,))),
    "without the last line end": (config(b"1\na.cache||11211"), Configuration(1, (A,))),
    "one node twice": (config(b"1\na.cache||11211 a.cache||11211\n"), Configuration(1, (A,))),
    "an old engine": (
        config(b"3\na.cache||11211\n", b"VALUE AmazonElastiCache:cluster 0"),
        Configuration(3, (A,)),
    ),
    "no such command": (b"ERROR\r\n", "ERROR"),
    "a refusal": (b"CLIENT_ERROR bad config\r\n", "CLIENT_ERROR bad config"),
    "no such key": (b"END\r\n", "END"),
}
LIES: dict[str, tuple[bytes, str]] = {
    "another protocol": (b"HTTP/1.1 400 Bad\r\n", "not a configuration: b'HTTP/1.1 400 Bad'"),
    "another value": (b"VALUE a 0 1\r\nx\r\nEND\r\n", "not a configuration: b'VALUE a 0 1'"),
    "no node": (config(b"4\n\n"), "not even one node"),
    "no version": (config(b"a.cache||11211\n"), "not a version"),
    "a version in letters": (config(b"new\na.cache||11211\n"), "not a version: b'new'"),
    "a version above all bounds": (config(b"9" * 19 + b"\na.cache||11211\n"), "not a version"),
    "no port": (config(b"1\na.cache|10.0.0.1|\n"), "'' is not a port"),
    "a port above all": (config(b"1\na.cache|10.0.0.1|65536\n"), "'65536' is not a port"),
    "no host": (config(b"1\n||11211\n"), "'' is not a host"),
    "commands for a host": (config(b"1\na;rm|10.0.0.1|1 b||2\n"), "'a;rm' is not a host"),
    "a node in words": (config(b"1\nnode1\n"), "is not a port"),
    "one good and one bad": (config(b"1\na.cache||11211 b||x\n"), "'x' is not a port"),
    "longer than said": (
        b"CONFIG cluster 0 3\r\n1\na.cache||11211\n\r\nEND\r\n",
        "a configuration that is longer than said",
    ),
    "without an end": (b"C" * (MOST_BYTES + 1), "more than 65536 bytes"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_when_all_of_it_is_there(name: str) -> None:
    data, expected = ANSWERS[name]
    assert read_answer(data) == expected
    assert [read_answer(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize("name", LIES)
def test_what_no_endpoint_says_is_refused(name: str) -> None:
    data, words = LIES[name]
    with pytest.raises(Unreadable) as caught:
        read_answer(data)
    assert words in str(caught.value)


PIECES = st.sampled_from(
    [
        *(b"CONFIG cluster 0 19\r\n", b"7\n", b"a|10.0.0.1|11211", b" ", b"\n\r\nEND\r\n", b"|", b"\r\n"),
        *(b"VALUE AmazonElastiCache:cluster 0 19\r\n", b"ERROR", b"END"),
    ]
)


@given(data=st.lists(st.one_of(PIECES, st.binary(max_size=5)), max_size=9).map(b"".join))
def test_any_bytes_are_an_answer_or_refused(data: bytes) -> None:
    try:
        found = read_answer(data)
    except Unreadable:
        return
    assert found is None or isinstance(found, str) or (found.nodes and found.version >= 0)


Steps = list[tuple[int, tuple[Address, ...], tuple[Address, ...] | None]]
STORIES: dict[str, Steps] = {
    "the first answer": [(5, (A,), (A,))],
    "a newer one": [(5, (A,), (A,)), (6, (A, B), (A, B))],
    "the same nodes in a newer one": [(5, (A, B), (A, B)), (6, (B, A), None), (7, (A,), (A,))],
    "other nodes without a newer version": [(5, (A,), (A,)), (5, (B,), None), (6, (B,), (B,))],
    "an older one, now and then": [(5, (A,), (A,)), (4, (B,), None), (5, (A,), None), (4, (B,), None)],
    "older ones that stay": [
        (5, (A,), (A,)),
        (1, (B,), None),
        (1, (B,), None),
        (1, (B,), (B,)),
        (2, (A,), (A,)),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_believed(name: str) -> None:
    book = Book()
    for version, nodes, expected in STORIES[name]:
        assert book.take(Configuration(version, nodes)) == expected
