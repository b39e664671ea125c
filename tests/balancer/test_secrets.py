"""What whoever may only read is not shown."""

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.language.replies import Error, Lines, Ok
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.secrets import hide, hide_in


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  SET sticky_secret = k1", "  # SET sticky_secret = (hidden)"),
        ("SET mysite.sticky_secret = k1 k2", "# SET mysite.sticky_secret = (hidden)"),
        ("DEFAULT sticky_secret = k1", "# DEFAULT sticky_secret = (hidden)"),
        ("  SET split_secret = k1", "  # SET split_secret = (hidden)"),
        ("  SET admin_token = sha256:00", "  # SET admin_token = (hidden)"),
        ("HEADER s INSERT Authorization: Basic x", "# HEADER s INSERT Authorization: (hidden)"),
        ("  HEADER s INSERT X-Api-Key: x", "  # HEADER s INSERT X-Api-Key: (hidden)"),
        ("  HEADER s INSERT x-shared-secret: x", "  # HEADER s INSERT x-shared-secret: (hidden)"),
        ("  HEADER s INSERT X-Case: Hello", "  HEADER s INSERT X-Case: Hello"),
        ("  HEADER s REMOVE Authorization", "  HEADER s REMOVE Authorization"),
        ("  SET sticky_cookie = sid", "  SET sticky_cookie = sid"),
        ("  SET admin_token_file = /a", "  SET admin_token_file = /a"),
        ("CREATE POOL mypool", "CREATE POOL mypool"),
    ],
)
def test_a_secret_becomes_a_comment_without_its_value(line: str, shown: str) -> None:
    assert hide(line) == shown


def test_only_listings_are_changed() -> None:
    lines = Lines(("SET sticky_secret = x", "ENABLE s"), end="OK")
    assert hide_in(lines) == Lines(("# SET sticky_secret = (hidden)", "ENABLE s"), end="OK")
    assert hide_in(Ok()) == Ok()
    assert hide_in(Error("no")) == Error("no")


def test_what_a_reader_saw_can_be_replayed_and_sets_nothing_wrong() -> None:
    stage = Stage()
    stage.make_site()
    stage.do("SET mysite.sticky_secret = k1", "HEADER mysite INSERT Authorization: Basic x")
    again = Stage(workers=1)
    again.session = Session.of_file({})
    for line in map(hide, stage.say("dumpconfig")[:-1]):
        assert again.say(line) == [], line
    assert again.control.service("mysite").settings["sticky_secret"] == ""
    assert again.control.service("mysite").insert == ()
