"""Which protocol a server speaks, from what it answers to a question."""

import pytest

from wsgistack.store.memcached.dialect import read_answer


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"EN O1\r\nMN\r\n", "meta"),
        (b"VA 1 O1\r\nx\r\nMN\r\n", "meta"),
        (b"EN\r\nMN\r\n", "classic"),  # 1.6.0 to 1.6.9 repeat no number of a miss
        (b"ERROR\r\nERROR\r\n", "classic"),
        (b"CLIENT_ERROR line format\r\nERROR\r\n", "classic"),
        (b"", None),
        (b"EN O1\r\n", None),
        (b"EN O1\r\nMN", None),
        (b"ERROR\r\n", None),
    ],
)
def test_an_answer_tells_the_dialect(data: bytes, found: str | None) -> None:
    assert read_answer(data) == found
