"""What is told stands in the line, whatever format the log has, and nobody can begin a line of their own."""

import pytest

from wsgistack.cache.telling import tell


def test_a_line_says_what_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    tell("fills_differ", url="https://a/\nb", offset=12)
    (record,) = caplog.records
    assert record.getMessage() == r"fills_differ url='https://a/\nb' offset=12"
    assert (vars(record)["url"], vars(record)["offset"]) == ("https://a/\nb", 12)
    assert (record.name, record.levelname) == ("wsgistack.cache", "WARNING")


def test_an_event_alone_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    tell("it")
    assert [record.getMessage() for record in caplog.records] == ["it"]
