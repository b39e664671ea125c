"""Lists of networks that services name: read when they are named, kept while they are used."""

from __future__ import annotations

import pytest

from tests.balancer.stage import Stage
from tests.balancer.test_dump import dumped
from wsgistack.balancer.address_list import AddressList, read_list
from wsgistack.balancer.language.session import Session
from wsgistack.balancer.model import ListRead


@pytest.fixture
def stage() -> Stage:
    """The site of the manual, and files with a network each."""
    stage = Stage()
    stage.files.texts = {"/lists/in": "198.51.100.0/24\n", "/lists/out": "203.0.113.0/24\n2001:db8::/32\n"}
    stage.make_site()
    return stage


def lists(stage: Stage) -> dict[str, int]:
    """Return the networks of each list that workers get."""
    return {path: len(found.ranges) for path, found in stage.control.snapshot.lists.items()}


def read(path: str, text: str) -> AddressList:
    found, _ = read_list(path, text)
    assert found is not None
    return found


def test_a_service_names_its_lists_and_workers_get_them(stage: Stage) -> None:
    stage.do("SET mysite.allow_file = /lists/in", "SET mysite.deny_file = /lists/out")
    assert lists(stage) == {"/lists/in": 1, "/lists/out": 2}
    wire = stage.control.snapshot.as_wire()
    assert wire["lists"]["/lists/in"] == "AAAAAAAAAAAAAP//xjNkAAAAAAAAAAAAAAD//8YzZP8="
    assert stage.control.address_lists() == ["/lists/in", "/lists/out"]
    stage.do("SET mysite.allow_file = none")
    assert lists(stage) == {"/lists/out": 2}


def test_perlbals_names_are_the_same_settings_and_are_saved_by_ours(stage: Stage) -> None:
    stage.do("SET mysite.whitelist_file = /lists/in", "SET mysite.blacklist_file = /lists/out")
    assert stage.control.service("mysite").settings["deny_file"] == "/lists/out"
    lines = dumped(stage)
    assert [line.strip() for line in lines if "_file" in line] == [
        "SET allow_file = /lists/in",
        "SET deny_file = /lists/out",
    ]
    other = Stage(workers=2)
    other.files.texts = stage.files.texts
    other.session = Session.of_file({})
    assert [text for line in lines for text in other.say(line)] == []
    assert other.control.snapshot.lists == stage.control.snapshot.lists


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        (None, "deny_file /lists/new: No such file or directory"),
        ("10.0.0.1\nsomebody\nanybody\n", "deny_file /lists/new:2: 'somebody' is not a network such as 10.0.0.0/8 or 2001:db8::/32"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_and_the_list_of_before_stays(
    text: str | None, reply: str, stage: Stage
) -> None:
    stage.do("SET mysite.deny_file = /lists/out")
    if text is not None:
        stage.files.texts["/lists/new"] = text
    for line in ("SET mysite.deny_file = /lists/new", "DEFAULT deny_file = /lists/new"):
        assert stage.say(line) == [f"ERROR: {reply}"]
    assert lists(stage) == {"/lists/out": 2}
    assert stage.control.service("mysite").settings["deny_file"] == "/lists/out"


def test_a_file_that_changed_changes_the_list_and_nothing_else(stage: Stage) -> None:
    stage.do("SET mysite.deny_file = /lists/out")
    version = stage.control.snapshot.version
    stage.control.absorb(ListRead(read("/lists/out", stage.files.texts["/lists/out"])), stage.now)
    assert stage.control.snapshot.version == version, "it says the same"
    stage.control.absorb(ListRead(read("/lists/out", "10.0.0.0/8")), stage.now)
    assert (stage.control.snapshot.version, lists(stage)) == (version + 1, {"/lists/out": 1})
    stage.control.absorb(ListRead(read("/lists/gone", "10.0.0.0/8")), stage.now)
    assert lists(stage) == {"/lists/out": 1}, "a late word about what nobody names any more"


def test_a_default_is_what_later_services_have(stage: Stage) -> None:
    stage.do("DEFAULT blacklist_file = /lists/out", "CREATE SERVICE other", "SET role = reverse_proxy")
    assert stage.control.service("other").settings["deny_file"] == "/lists/out"
    stage.do("DEFAULT deny_file = none")
    assert lists(stage) == {"/lists/out": 2}, "the service still names it"
    stage.do("DELETE SERVICE other")
    assert lists(stage) == {}


def test_explain_tells_who_is_listed(stage: Stage) -> None:
    stage.do("SET mysite.allow_file = /lists/in", "SET mysite.deny_file = /lists/out")
    assert stage.say("explain GET / from 203.0.113.9")[2:] == [
        "list deny_file: the client is on it",
        "answer 403: the client is on the deny_file",
        ".",
    ]
    assert (
        stage.say("explain GET / from 198.51.100.9")[2]
        == "list allow_file: the client is on it, no limit is about it"
    )
    assert stage.say("explain GET / from 192.0.2.9")[2].startswith("pool mypool: ")
    stage.do("SET mysite.default_action = allow", "SET mysite.blacklist_action = throttle")
    assert (
        stage.say("explain GET / from 192.0.2.9")[2]
        == "list deny_file: the client is not on it, no limit is about it"
    )
    listed = stage.say("explain GET / from 203.0.113.9")
    assert (listed[2], "403" in listed[-2]) == ("list deny_file: the client is on it", False)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("SET mysite.default_action = deny", "default_action: 'deny' is neither throttle nor allow (one of allow, throttle)"),
        ("SET mysite.blacklist_action = dney", "blacklist_action: 'dney' is neither deny nor throttle (did you mean 'deny'?)"),
    ],
)  # fmt: skip
def test_an_action_that_is_none_is_refused(line: str, reply: str, stage: Stage) -> None:
    assert stage.say(line) == [f"ERROR: {reply}"]
