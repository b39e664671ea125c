"""The settings by which a limit tells critical from sheddable requests."""

import pytest

from wsgistack.balancer.shedding import parse_marks, parse_shares
from wsgistack.errors import SettingError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("none", ()),
        ("/pay/*, /login", ("/pay/*", "/login")),
        ("header:X-Priority=High header:X-Batch", ("header:x-priority=High", "header:x-batch")),
        ("10.1.2.3/8 2001:DB8::/32", ("10.0.0.0/8", "2001:db8::/32")),
        ("/a /a", ("/a",)),
    ],
)
def test_marks_are_paths_fields_and_networks(text: str, words: tuple[str, ...]) -> None:
    assert parse_marks("critical", text) == words


@pytest.mark.parametrize("word", ["pay", "header:", "header:x_y", "/a?b", "10.0.0.0/33", "cookie:a=b"])
def test_a_word_that_is_no_mark_is_refused_by_name(word: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse_marks("critical", f"/a {word}")
    assert str(raised.value).startswith(f"critical: '{word}' is not a glob of a path (/pay/*), header:NAME")


def test_at_most_eight_marks_fit() -> None:
    with pytest.raises(SettingError, match="sheddable: 9 marks; at most 8 fit"):
        parse_marks("sheddable", " ".join(f"/{number}" for number in range(9)))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0.8", "shares: '0.8' is not two shares of the places, as in 0.8, 0.5"),
        ("0.8 0.5 0.3", "shares: '0.8 0.5 0.3' is not two shares"),
        ("80% 50%", "shares: '80% 50%' is not two shares"),
        ("0.5 0.8", "sheddable 0.8 and normal 0.5 are not shares with 0 < sheddable <= normal <= 1"),
        ("1.5 0.5", "sheddable 0.5 and normal 1.5 are not shares"),
        ("1 0", "sheddable 0.0 and normal 1.0 are not shares"),
    ],
)
def test_shares_that_are_none_are_refused(text: str, error: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse_shares(text)
    assert error in str(raised.value)


def test_shares_may_be_alike() -> None:
    assert parse_shares("1,1") == "1, 1"
