"""The dialogue of telnet, without a socket."""

from collections.abc import Iterable, Mapping

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.admin.access import Attempts
from wsgistack.balancer.admin.door import Door
from wsgistack.balancer.admin.lines import converse
from wsgistack.balancer.events import Log
from wsgistack.balancer.language.replies import Reply
from wsgistack.balancer.language.session import Session
from wsgistack.settings import Value

ADMIN, READER = "the-administrator", "whoever-may-read"
NEEDED = b"ERROR: a token is needed here: say auth TOKEN first\r\n"
READ_ONLY = b"ERROR: this session is read-only, and 'create' changes something\r\n"


class Port:
    """The admin service of the manual, as a visitor from 10.0.0.1 meets it."""

    def __init__(self, *lines: str) -> None:
        self.stage = Stage()
        self.stage.make_site()
        self.stage.do(*lines)
        self.logged: list[str] = []
        self.attempts = Attempts()

    def settings(self) -> Mapping[str, Value]:
        return self.stage.control.service("admin").settings

    def perform(self, line: str, session: Session) -> Reply:
        return self.stage.control.run(line, session, 0.0)

    def talk(self, *chunks: bytes) -> bytes:
        """Return all that is answered to these bytes on a connection of its own."""
        return b"".join(self.answers(chunks))

    def answers(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Return the answers as they come."""
        log = Log(self.logged.append, clock=lambda: 0.0)
        door = Door("admin", "10.0.0.1:4000", self.settings, self.attempts, lambda: 0.0, log)
        return converse(chunks, door, self.perform)


TOKENS = (f"SET admin.admin_token = {ADMIN}", f"SET admin.readonly_token = {READER}")


def test_an_open_port_answers_line_by_line() -> None:
    said = Port().talk(b"show po", b"ol\r\ncreate pool x\nquit\n", b"show pool\n")
    assert said == b"mypool nodes 2\r\nmypool services 1\r\n.\r\nOK\r\n"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"show pool\r\n", NEEDED),
        (b"\r\n", NEEDED),
        (b"help\r\nauth " + ADMIN.encode() + b"\r\n", NEEDED),
        (b"auth the-administratoR\r\nshow pool\r\n", b"ERROR: wrong token\r\n"),
        (b"auth\r\n", NEEDED),
        (b"auth two words\r\n", NEEDED),
        (b"auth " + ADMIN.encode() + b"\r\ncreate pool x\r\n", b"OK\r\nOK\r\n"),
        (b"  AUTH   " + ADMIN.encode() + b" \ncreate pool x\r\n", b"OK\r\nOK\r\n"),
        (b"auth " + READER.encode() + b"\r\ncreate pool x\r\nuse mypool\r\n", b"OK\r\n" + READ_ONLY + b"OK\r\n"),
        (b"auth " + READER.encode() + b"\nauth " + ADMIN.encode() + b"\ncreate pool x\r\n", b"OK\r\n" * 3),
        (b"a" * 9000, b"ERROR: a line has at most 8192 bytes\r\n"),
    ],
    ids=[
        "a command",
        "a blank line",
        "the token comes too late",
        "a wrong token ends it",
        "no token",
        "two words are none",
        "the administrator",
        "blanks and case of the word do not matter",
        "the reader",
        "the reader becomes the administrator",
        "an endless line",
    ],
)  # fmt: skip
def test_where_a_token_is_needed_it_comes_first(sent: bytes, said: bytes) -> None:
    assert Port(*TOKENS).talk(sent) == said


def test_a_wrong_token_is_logged_without_it_and_five_are_enough() -> None:
    port = Port(*TOKENS)
    for _ in range(5):
        assert port.talk(b"auth hunter2-hunter2-hunter2\r\n") == b"ERROR: wrong token\r\n"
    assert port.talk(b"auth " + ADMIN.encode() + b"\r\n").startswith(
        b"ERROR: too many wrong tokens: try again in 60"
    )
    assert [line.split(" ", 2)[2] for line in port.logged[:1]] == [
        "admin_refused service=admin peer=10.0.0.1:4000 reason=wrong_token"
    ]
    assert not any("hunter2" in line or ADMIN in line for line in port.logged)


def test_a_port_made_read_only_is_so_for_who_is_in_already() -> None:
    port = Port()
    chunks = [b"create pool a\r\n", b"set admin.readonly = on\r\n", b"create pool b\r\n"]
    assert b"".join(port.answers(chunks)) == b"OK\r\nOK\r\n" + READ_ONLY


def test_a_token_file_that_cannot_be_trusted_locks_the_port() -> None:
    port = Port("SET admin.admin_token_file = /nonexistent/token")
    assert port.talk(b"show pool\r\n") == NEEDED
    assert 'admin_locked service=admin reason="token file /nonexistent/token: No such file' in port.logged[0]


def test_auth_on_an_open_port_says_ok() -> None:
    assert Port().talk(b"auth whatever\r\n") == b"OK\r\n"
