"""ENABLE, DISABLE, HEADER, word by word."""

import pytest

from tests.balancer.stage import Stage

HEADER_USAGE = "ERROR: Usage: HEADER <service> {INSERT|REMOVE} <header>[: <value>]"


@pytest.fixture
def stage() -> Stage:
    """The site of the manual and a service `spare` without a role."""
    stage = Stage()
    stage.make_site()
    stage.do("create service spare", "set listen = 127.0.0.1:9")
    return stage


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("enable", "ERROR: Usage: {ENABLE|DISABLE} <service>"),
        ("disable a b", "ERROR: Usage: {ENABLE|DISABLE} <service>"),
        ("enable nope", "ERROR: service 'nope' does not exist"),
        ("disable mysit", "ERROR: service 'mysit' does not exist (did you mean 'mysite'?)"),
        ("enable mypool", "ERROR: service 'mypool' does not exist"),
        ("enable mysite", "ERROR: service mysite is already enabled"),
        ("DISABLE MySite", "OK"),
        ("disable spare", "ERROR: service spare is already disabled"),
        ("disable admin", "ERROR: can't disable management service"),
        ("enable spare", "ERROR: service 'spare' has no role: SET role = reverse_proxy"),
        ("header", HEADER_USAGE),
        ("header mysite frob x: y", HEADER_USAGE),
        ("header nope insert x: y", "ERROR: service 'nope' does not exist"),
        ("header mysite insert X-Case: Hello World=Foo", "OK"),
        ("header mysite insert X-Case:Foo", "OK"),
        ("header mysite insert X-Case", "ERROR: no value provided"),
        ("header mysite insert X-Case:", "ERROR: no value provided"),
        ("header mysite remove X-Case", "OK"),
        ("header mysite remove X Case", "ERROR: 'X Case' is not the name of a field"),
        ("header mysite insert X(: 1", "ERROR: 'X(' is not the name of a field"),
        ("header mysite insert X: \N{SNOWMAN}", "ERROR: '\N{SNOWMAN}' holds a character that HTTP fields cannot carry"),
        ("header mysite insert X: a\x00b", "ERROR: 'a\\x00b' holds a character that HTTP fields cannot carry"),
        ("header mysite insert Content-Length: 5", "ERROR: the field Content-Length says how a message is carried; it cannot be changed"),
        ("header mysite remove transfer-encoding", "ERROR: the field transfer-encoding says how a message is carried; it cannot be changed"),
    ],
)  # fmt: skip
def test_a_line_gets_its_reply(stage: Stage, line: str, reply: str) -> None:
    assert stage.say(line) == [reply]


def test_names_and_values_of_fields_keep_their_case(stage: Stage) -> None:
    stage.do("HEADER mysite INSERT X-Case: Hello World=Foo", "HEADER mysite REMOVE X-Bar")
    stage.do("HEADER mysite INSERT X-Url: http://A:80/B", "HEADER mysite REMOVE x-bar")
    wire = stage.control.snapshot.as_wire()["services"]["mysite"]
    assert wire["insert"] == [["X-Case", "Hello World=Foo"], ["X-Url", "http://A:80/B"]]
    assert wire["remove"] == ["x-bar"]


def test_enable_opens_the_ports_and_disable_closes_them(stage: Stage) -> None:
    stage.do("disable mysite")
    assert stage.ports.open_now == [("admin", "127.0.0.1:60000")]
    stage.do("enable mysite")
    assert ("mysite", "127.0.0.1:8080") in stage.ports.open_now
