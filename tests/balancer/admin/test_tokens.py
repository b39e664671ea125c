"""Token files: what is trusted and what is not."""

import os
from pathlib import Path

import pytest

from wsgistack.balancer.admin.access import Keys
from wsgistack.balancer.admin.tokens import TokenFileError, find_keys, read_token
from wsgistack.balancer.admin_settings import make_digest
from wsgistack.balancer.service_settings import SERVICE_SETTINGS

TOKEN = "0123456789abcdef"


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Write a file with that mode and return its path."""
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"  {TOKEN}\r\n", f"{TOKEN}\nmore\n"])
def test_the_first_line_is_the_token(tmp_path: Path, text: str) -> None:
    assert read_token(write(tmp_path / "token", text)) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_file_that_others_may_use_is_not_trusted(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "token", TOKEN, mode)
    with pytest.raises(TokenFileError) as caught:
        read_token(path)
    assert str(caught.value) == (f"token file {path}: others may use it (mode {mode:04o}): chmod 600 {path}")


@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 129, "has a blank in it", "0123456789abcde#"])
def test_a_file_without_a_token_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        TokenFileError, match="its first line is not 16 to 128 printable characters"
    ) as caught:
        read_token(write(tmp_path / "token", text))
    assert text.strip() == "" or text.strip() not in str(caught.value)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, reason in (
        (tmp_path / "pipe", "not a file"),
        (tmp_path, "not a file"),
        (tmp_path / "no", "No such"),
    ):
        with pytest.raises(TokenFileError, match=reason):
            read_token(str(path))


def test_keys_come_from_settings_and_files(tmp_path: Path) -> None:
    settings = SERVICE_SETTINGS.defaults()
    assert find_keys(settings) == Keys()
    settings["admin_token"] = SERVICE_SETTINGS.parse("admin_token", TOKEN)
    settings["admin_token_file"] = write(tmp_path / "a", "another-token-file")
    settings["readonly_token_file"] = write(tmp_path / "r", "the-readers-token")
    settings["readonly"] = True
    assert find_keys(settings) == Keys(
        (make_digest(TOKEN), make_digest("another-token-file")),
        (make_digest("the-readers-token"),),
        readonly=True,
    )
