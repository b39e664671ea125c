"""What an application may say about a page."""

from typing import Any

import pytest

from wsgistack.cache.voice import Voice
from wsgistack.errors import ArgumentError


def test_at_first_nothing_is_said() -> None:
    voice = Voice()
    assert (voice.is_private, voice.why, voice.tags, voice.ttl_s, voice.grace_s) == (
        False,
        "",
        (),
        None,
        None,
    )
    assert voice.has_made_tag is False


def test_private_is_never_taken_back_and_the_first_reason_counts() -> None:
    voice = Voice()
    voice.private("session")
    voice.private("other")
    assert (voice.is_private, voice.why) == (True, "session")


@pytest.mark.parametrize("why", ["", "two words", 'a";b', 5, None, "x" * 65], ids=repr)
def test_a_reason_that_cannot_be_told_is_still_one(why: Any) -> None:
    voice = Voice()
    voice.private(why)
    assert (voice.is_private, voice.why) == (True, "application")


def test_tags_are_gathered_in_order_each_once() -> None:
    voice = Voice()
    voice.tag("news", "author:7")
    voice.tag("news", "größe")
    assert voice.tags == ("news", "author:7", "größe")


@pytest.mark.parametrize("name", ["", "x" * 257, "a\0b", 7, None], ids=repr)
def test_what_is_no_tag_is_refused_and_changes_nothing(name: Any) -> None:
    voice = Voice()
    with pytest.raises(ArgumentError, match="tag: "):
        voice.tag("news", name)
    assert voice.tags == ()


def test_a_page_has_a_bounded_number_of_tags() -> None:
    voice = Voice()
    voice.tag(*[str(number) for number in range(128)])
    with pytest.raises(ArgumentError, match="at most 128"):
        voice.tag("one more")
    assert len(voice.tags) == 128


def test_a_time_is_said_with_its_grace() -> None:
    voice = Voice()
    voice.ttl(60, grace=300)
    assert (voice.ttl_s, voice.grace_s) == (60.0, 300.0)
    voice.ttl(5)
    assert (voice.ttl_s, voice.grace_s) == (5.0, None)


@pytest.mark.parametrize("seconds", [-1, True, None, "60", float("nan"), float("inf"), 10**9], ids=repr)
def test_a_time_that_cannot_be_meant_is_refused(seconds: Any) -> None:
    voice = Voice()
    with pytest.raises(ArgumentError, match="ttl: "):
        voice.ttl(seconds)
    assert voice.ttl_s is None


def test_a_witness_is_asked_each_time_until_it_says_why() -> None:
    voice, reasons = Voice(), ["", "user", ""]
    voice.ask(lambda: reasons.pop(0))
    assert [voice.is_private for _ in range(3)] == [False, True, True]
    assert (voice.why, reasons) == ("user", [""])


def test_a_witness_that_fails_makes_the_response_private(caplog: pytest.LogCaptureFixture) -> None:
    voice = Voice()
    voice.ask(lambda: str(1 / 0))
    assert voice.is_private
    assert voice.why == "witness-failed"
    assert [record.message for record in caplog.records] == ["witness_failed"]
