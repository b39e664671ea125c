"""A configuration file as a whole: every mistake is told once, with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.balancer.stage import Stage
from wsgistack.balancer.configuration import Problem, apply, load, read
from wsgistack.balancer.language.session import Session

SITE = """\
CREATE POOL mypool
  POOL mypool ADD 127.0.0.1:8001
  POOL mypool ADD 127.0.0.1:8002
CREATE SERVICE mysite
  SET listen = 127.0.0.1:8080
  SET role = reverse_proxy
  SET pool = mypool
  SET verify_backend = on
  SET buffer_size = 120k
ENABLE mysite
CREATE SERVICE admin
  SET role = management
  SET listen = 127.0.0.1:60000
ENABLE admin
"""


def told(text: str) -> list[tuple[int, str]]:
    return [(problem.number, problem.message) for problem in load(text, "site.conf")]


def errors(text: str) -> list[tuple[int, str]]:
    found = load(text, "site.conf")
    return [(problem.number, problem.message) for problem in found if problem.severity == "error"]


def changed(number: int, line: str) -> str:
    lines = SITE.split("\n")
    lines[number - 1] = line
    return "\n".join(lines)


def test_the_manuals_file_has_no_problem() -> None:
    loaded = read(SITE, "site.conf", workers=4)
    assert loaded.problems == []
    assert loaded.snapshot.server["workers"] == 4
    assert loaded.snapshot.services["mysite"].settings["buffer_size"] == 122880


def test_a_file_says_how_many_workers() -> None:
    assert read("SERVER workers = 3\n" + SITE, "site.conf").snapshot.server["workers"] == 3


@pytest.mark.parametrize(
    ("number", "line", "message"),
    [
        (1, "CRAETE POOL mypool", "unknown command: craete (did you mean 'create'?)"),
        (1, "CREATE POL mypool", "usage: CREATE {service|pool} <name> (did you mean 'pool'?)"),
        (2, "POOL mypol ADD 127.0.0.1:8001", "Pool 'mypol' not found (did you mean 'mypool'?)"),
        (2, "POOL mypool ADD 999.0.0.1", "Invalid syntax to 'pool' command: '999.0.0.1': 999 is not between 0 and 255"),
        (4, "CRAETE SERVICE mysite", "unknown command: craete (did you mean 'create'?)"),
        (5, "SET lisen = 127.0.0.1:8080", "Unknown service parameter 'lisen' (did you mean 'listen'?)"),
        (6, "SET role = revers_proxy", "Role not valid for service mysite (did you mean 'reverse_proxy'?)"),
        (6, "SET role = web_server", "role 'web_server' is not available yet: let nginx have it"),
        (6, "SET mysite.role = xyzzy", "Role not valid for service mysite"),
        (7, "SET pool = mypol", "Pool 'mypol' not found (did you mean 'mypool'?)"),
        (7, "SET pool = other", "Pool 'other' not found"),
        (9, "SET buffer_size = 12x", "Expecting size unit value for parameter 'buffer_size' in bytes, or suffixed with 'K' or 'M'"),
        (9, "SET enable_ssl = on", "'enable_ssl' is not available yet, only its default off is accepted"),
        (9, "UNLOAD vhosts", "the 'unload' command is not available yet"),
        (9, "!", "invalid command"),
        (9, "SET buffer_size = $NOPE", "$NOPE: there is no such environment variable"),
        (9, "quit", "this command has no place in a file"),
        (9, "shutdown", "this command has no place in a file"),
        (10, "ENABLE mysit", "service 'mysit' does not exist (did you mean 'mysite'?)"),
        (10, "ENABL mysite", "unknown command: enabl (did you mean 'enable'?)"),
        (13, "SET listen = 127.0.0.1:8080", "Can't start service 'admin' on 127.0.0.1:8080: service 'mysite' listens there"),
        (13, "SET listen = 60000", "a management service on 0.0.0.0:60000 is open to others and needs a token: SET admin_token_file = FILE, or listen on 127.0.0.1 or unix:/path"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem(number: int, line: str, message: str) -> None:
    said_at = 14 if message.startswith(("Can't start", "a management service on")) else number  # at ENABLE
    assert told(changed(number, line)) == [(said_at, message)]


@pytest.mark.parametrize(
    ("number", "line", "problems"),
    [
        (1, "CREATE POOL my pool", [(1, "usage: CREATE {service|pool} <name>"), (2, "Pool 'mypool' not found")]),
        (1, "!", [(1, "invalid command"), (2, "Pool 'mypool' not found")]),
        (4, "!!! SERVICE mysite", [(4, "invalid command")]),
        (4, "", [
            (5, "Unknown pool parameter 'listen': 'mypool' is a pool, listen belongs to a service"),
            (10, "service 'mysite' does not exist"),
        ]),
        (4, "CREATE SERVICE", [(4, "usage: CREATE {service|pool} <name>"), (10, "service 'mysite' does not exist")]),
        (6, "", [
            (7, "The 'pool' option can only be set on a 'reverse_proxy' service"),
        ]),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_once(number: int, line: str, problems: list[tuple[int, str]]) -> None:
    assert errors(changed(number, line)) == problems


def test_all_mistakes_are_told_in_one_run() -> None:
    text = """\
CRAETE POOL mypool
  POOL mypol ADD 127.0.0.999:8002
CREATE SERVICE mysite
  SET role = revers_proxy
  SET bufer_size = 12x
USE nobody
  SET role = x
SERVER max_conections = 3
"""
    assert told(text) == [
        (1, "unknown command: craete (did you mean 'create'?)"),
        (2, "Pool 'mypol' not found (did you mean 'mypool'?)"),
        (2, "Invalid syntax to 'pool' command: '127.0.0.999:8002': 999 is not between 0 and 255"),
        (4, "Role not valid for service mysite (did you mean 'reverse_proxy'?)"),
        (5, "Unknown service parameter 'bufer_size' (did you mean 'buffer_size'?)"),
        (
            5,
            "Expecting size unit value for parameter 'buffer_size' in bytes, or suffixed with 'K' or 'M'",
        ),
        (6, "Non-existent pool or service 'nobody'"),
        (8, "unknown server option 'max_conections' (did you mean 'max_connections'?)"),
    ]


@pytest.mark.parametrize(
    ("text", "number", "message"),
    [
        (SITE + "CREATE POOL empty\n", 15, "pool 'empty' has no nodes"),
        (SITE + "CREATE SERVICE idle\n", 15, "service 'idle' is never enabled"),
        (SITE + "CREATE SERVICE s\nSET role = management\nENABLE s\n", 15, "service 's' listens nowhere"),
        (
            SITE + "CREATE SERVICE s\nSET role = reverse_proxy\nSET listen = 127.0.0.1:9\nENABLE s\n",
            15,
            "service 's' has no pool: it will answer 503",
        ),
    ],
)
def test_a_doubt_about_the_whole_is_a_warning(text: str, number: int, message: str) -> None:
    (problem,) = load(text, "site.conf")
    assert (problem.number, problem.message, problem.severity) == (number, message, "warning")


def test_an_address_shared_with_a_disabled_service_is_a_warning() -> None:
    text = SITE + "CREATE SERVICE s\n  SET listen = 127.0.0.1:8080\n"
    assert told(text) == [
        (15, "service 's' is never enabled"),
        (15, "services 'mysite' and 's' both listen on 127.0.0.1:8080"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "CREATE SERVICE s\nSET listen = 127.0.0.1:1\n"])
def test_a_file_that_opens_no_port_is_an_error(text: str) -> None:
    assert errors(text) == [(0, "No services or management port configured.  Nothing to do.")]


def test_variables_come_from_the_environment_that_is_given() -> None:
    text = SITE.replace("8080", "$PORT")
    assert load(text, "site.conf", environment={"PORT": "81"}) == []
    assert [p.number for p in load(text, "site.conf")] == [5]


def test_a_problem_shows_file_line_text_and_message() -> None:
    (problem,) = load(changed(5, "  SET lisen = 127.0.0.1:80 "), "conf/site.conf")
    assert str(problem) == (
        "conf/site.conf:5: SET lisen = 127.0.0.1:80\n"
        "    Unknown service parameter 'lisen' (did you mean 'listen'?)"
    )
    assert str(Problem("a.conf", 0, "", "nothing")) == "a.conf: nothing"
    assert str(Problem("a.conf", 1, "x", "odd", "warning")) == "a.conf:1: x\n    warning: odd"


def test_reading_touches_nothing() -> None:
    assert read(SITE + "proc\nstates\nshow service mysite\nverbose on\n", "site.conf").problems == []


def test_crlf_lines_are_lines() -> None:
    assert load(SITE.replace("\n", "\r\n"), "site.conf") == []


def test_a_checked_file_is_applied_until_the_system_refuses() -> None:
    stage = Stage()
    stage.ports.taken.add("127.0.0.1:60000")
    refused = apply(SITE, "site.conf", control=stage.control, session=Session.of_file({}), now=0.0)
    assert refused is not None
    assert (refused.number, refused.line) == (14, "ENABLE admin")
    assert stage.ports.open_now == [("mysite", "127.0.0.1:8080")]


def test_a_checked_file_is_applied() -> None:
    stage = Stage()
    assert apply(SITE, "site.conf", control=stage.control, session=Session.of_file({}), now=0.0) is None
    assert stage.control.snapshot.services["admin"].enabled


@given(st.text() | st.lists(st.sampled_from(SITE.split("\n")), max_size=20).map("\n".join))
def test_any_text_is_read_to_its_end(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(0 <= problem.number <= lines for problem in load(text, "site.conf"))


@given(st.integers(1, 14), st.integers(0, 30), st.characters(codec="ascii", exclude_characters="\n"))
def test_one_wrong_letter_makes_few_problems(number: int, at: int, letter: str) -> None:
    line = SITE.split("\n")[number - 1]
    text = changed(number, line[:at] + letter + line[at + 1 :])
    assert len(errors(text)) <= 3


def test_a_pool_of_names_is_not_empty() -> None:
    lines = [line for line in SITE.split("\n") if "8002" not in line]
    assert told("\n".join(lines).replace("127.0.0.1:8001", "srv:_http._tcp.app.example")) == []
