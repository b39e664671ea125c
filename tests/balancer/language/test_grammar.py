"""One line of the language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgistack.balancer.language.grammar import Line, parse_line
from wsgistack.errors import CommandError

HOME = {"HOME": "/srv/app", "WIDE": "a   b", "EMPTY": "", "BAD": "a#b", "DEEP": "$HOME", "LINES": "a\nb"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("uptime", Line("uptime", "")),
        ("  SHOW \t  Service   ", Line("show", "Service")),
        ("SET a.b = C=D", Line("set", "a.b = C=D")),
        ("POOL x ADD unix:/Run/A # comment", Line("pool", "x ADD unix:/Run/A")),
        ("HEADER s INSERT X-Case: Hello   World=Foo", Line("header", "s INSERT X-Case: Hello World=Foo")),
        ("quit!", Line("quit", "!")),
        ("set=1", Line("set", "=1")),
        ("a $5 b", Line("a", "$5 b")),
    ],
)
def test_a_line_is_a_word_and_a_rest_that_keeps_its_case(text: str, line: Line) -> None:
    assert parse_line(text, None) == line


@pytest.mark.parametrize("text", ["", "   ", "\t", "# all comment", "  # x", "\r", "\x0b\x1f"])
def test_a_blank_line_is_no_command(text: str) -> None:
    assert parse_line(text, None) is None


@pytest.mark.parametrize("text", ["!", ".", "-x", "=", "\x00", "é"])
def test_a_line_that_begins_with_no_word_is_invalid(text: str) -> None:
    with pytest.raises(CommandError, match=r"^invalid command$"):
        parse_line(text, None)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("x $HOME", "/srv/app"),
        ("x ${HOME}/sub", "/srv/app/sub"),
        ("x $HOME$HOME", "/srv/app/srv/app"),
        ("x $WIDE", "a b"),
        ("x ${EMPTY}", ""),
    ],
)
def test_a_file_may_name_environment_variables(text: str, rest: str) -> None:
    assert parse_line(text, HOME) == Line("x", rest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x $NONE", "$NONE: there is no such environment variable"),
        ("x ${ip:eth0}", "${ip:eth0}: there is no such environment variable"),
        ("x ${}", "${}: there is no such environment variable"),
        ("x $BAD", "$BAD: its value holds '#', '$' or a control character"),
        ("x $DEEP", "$DEEP: its value holds '#', '$' or a control character"),
        ("x $LINES", "$LINES: its value holds '#', '$' or a control character"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_line(text, HOME)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["x $HOME", "x ${HOME}", "${ip:lo}", "$PATH"])
def test_the_port_tells_nobody_what_is_in_the_environment(text: str) -> None:
    with pytest.raises(CommandError, match="variables are expanded in a configuration file only"):
        parse_line(text, None)


def test_a_commented_variable_is_not_looked_at() -> None:
    assert parse_line("uptime # $HOME", None) == Line("uptime", "")


def test_matching_is_whole_and_in_any_case() -> None:
    line = Line("enable", "MySite")
    assert line.match(r"(mysite)")[1] == "MySite"
    with pytest.raises(CommandError, match=r"^Invalid syntax to 'enable' command$"):
        line.match(r"my")
    with pytest.raises(CommandError, match=r"^usage: this$"):
        line.match(r"my", "usage: this")


def test_arguments_that_a_command_does_not_take_are_refused() -> None:
    Line("uptime", "").take_nothing()
    with pytest.raises(CommandError, match=r"^The 'uptime' command takes no arguments$"):
        Line("uptime", "now").take_nothing()


@given(st.text(), st.none() | st.dictionaries(st.text(max_size=5), st.text(), max_size=3))
def test_any_text_is_a_line_or_a_command_error(text: str, environment: dict[str, str] | None) -> None:
    try:
        line = parse_line(text, environment)
    except CommandError:
        return
    assert line is None or (line.word == line.word.lower() and line.rest == line.rest.strip())
