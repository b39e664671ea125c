"""What a command answers, as bytes."""

import pytest

from wsgistack.balancer.language.replies import Ask, Error, Lines, Ok, Quit, Reply, Shutdown, Silent, encode


@pytest.mark.parametrize(
    ("reply", "verbose", "quiet"),
    [
        (Silent(), b"", b""),
        (Ok(), b"OK\r\n", b""),
        (Error("no"), b"ERROR: no\r\n", b"ERROR: no\r\n"),
        (Lines(("a", "b")), b"a\r\nb\r\n.\r\n", b"a\r\nb\r\n.\r\n"),
        (Lines(()), b".\r\n", b".\r\n"),
        (Lines(("a",), end="OK"), b"a\r\nOK\r\n", b"a\r\nOK\r\n"),
        (Lines(("a",), end=""), b"a\r\n", b"a\r\n"),
        (Quit(), b"", b""),
        (Shutdown(graceful=False, after_s=None), b"", b""),
        (Shutdown(graceful=True, after_s=5.0), b"OK\r\n", b""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_reply_has_its_framing(reply: Reply, verbose: bytes, quiet: bytes) -> None:
    assert encode(reply, verbose=True) == verbose
    assert encode(reply, verbose=False) == quiet


def test_an_echoed_control_character_cannot_break_the_framing() -> None:
    assert encode(Error("a\r\n.\r\nOK\x1b[2J"), verbose=True) == b"ERROR: a??.??OK?[2J\r\n"


def test_other_letters_go_out_as_utf_8() -> None:
    assert encode(Error("größe"), verbose=True) == "ERROR: größe\r\n".encode()


def test_an_ask_is_encoded_by_way_of_its_answer() -> None:
    ask = Ask("socks", lambda rows: [str(len(rows))])
    assert ask.answer([[], []]) == Lines(("2",))
    with pytest.raises(TypeError):
        encode(ask, verbose=True)
