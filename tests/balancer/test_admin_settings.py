"""Tokens, modes and the rest: what is accepted, kept and shown."""

import pytest

from tests.balancer.stage import Stage
from wsgistack.balancer.admin_settings import make_digest, seal
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.errors import SettingError

TOKEN = "correct-horse-battery"


def test_a_token_is_kept_and_shown_as_its_digest_alone() -> None:
    stage = Stage()
    stage.make_site()
    stage.do(f"SET admin.admin_token = {TOKEN}")
    kept = stage.control.snapshot.services["admin"].settings["admin_token"]
    assert kept == make_digest(TOKEN)
    assert f"  SET admin_token = {make_digest(TOKEN)}" in stage.say("dumpconfig")
    everything = (
        f"{stage.say('dumpconfig')}{stage.say('show service admin')}{stage.control.snapshot.as_wire()}"
    )
    assert TOKEN not in everything


def test_what_is_shown_is_read_as_the_same() -> None:
    assert SERVICE_SETTINGS.parse("admin_token", make_digest(TOKEN)) == make_digest(TOKEN)


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 15, "x" * 129, "blanks are not for it", "sha256:abc", "größe-größe-größe"]
)
def test_a_weak_token_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        SERVICE_SETTINGS.parse("admin_token", text)
    assert str(caught.value).startswith("Expecting 16 to 128 printable characters")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(("text", "mode", "shown"), [("0600", 0o600, "0600"), ("660", 0o660, "0660")])
def test_a_mode_is_octal(text: str, mode: int, shown: str) -> None:
    assert SERVICE_SETTINGS.parse("socket_mode", text) == mode
    assert SERVICE_SETTINGS.show("socket_mode", mode) == shown


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("socket_mode", "888", "Expecting a mode such as 0600 for parameter 'socket_mode'"),
        ("socket_mode", "1777", "Expecting a mode such as 0600 for parameter 'socket_mode'"),
        ("protocol", "htp", "Unknown protocol (did you mean 'http'?)"),
        ("admin_token_file", "etc/token", "'etc/token' is not the path of a file from / on"),
    ],
)
def test_what_cannot_be_meant_is_said(key: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        SERVICE_SETTINGS.parse(key, text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "sealed"),
    [
        (f"SET admin.admin_token = {TOKEN}", f"SET admin.admin_token = {make_digest(TOKEN)}"),
        (f"SET ADMIN_TOKEN={TOKEN}", f"SET ADMIN_TOKEN={make_digest(TOKEN)}"),
        (
            f"SET admin.readonly_token = {make_digest(TOKEN)}",
            f"SET admin.readonly_token = {make_digest(TOKEN)}",
        ),
        ("SET admin.admin_token = none", "SET admin.admin_token = none"),
        ("SET admin.admin_token_file = /etc/token", "SET admin.admin_token_file = /etc/token"),
        ("SET mysite.buffer_size = 1k", "SET mysite.buffer_size = 1k"),
    ],
)
def test_what_is_written_down_holds_no_token(line: str, sealed: str) -> None:
    assert seal(line) == sealed
