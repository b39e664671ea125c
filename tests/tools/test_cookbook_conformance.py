"""What of the cookbook is shown to the programs it is written for, and what is made of their answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.cookbook_conformance import PAGE, blocks_of, check_front, check_pair, check_site, check_units

page = PAGE.read_text()


def test_blocks_are_found_by_their_kind() -> None:
    assert blocks_of("a\n```ini\n[Unit]\n```\nb\n```nginx\nx;\n```\n", "nginx") == ["x;\n"]


@pytest.mark.parametrize(("program", "said"), [("/bin/true", ""), ("/bin/false", "exit status 1")])
def test_what_the_program_says_is_the_answer(program: str, said: str, tmp_path: Path) -> None:
    assert check_units(page, tmp_path, program) == said
    assert check_site(page, tmp_path, program) == said
    assert check_front(page, tmp_path, program) == said
    assert check_pair(page, tmp_path, program) == said


def test_units_name_no_program_that_is_not_here(tmp_path: Path) -> None:
    check_units(page, tmp_path, "/bin/true")
    units = [(tmp_path / name).read_text() for name in ("mysite@1.service", "wsgistack.service")]
    assert "ExecStart=/bin/true --bind 127.0.0.1:%i --workers 2 mysite.wsgi\n" in units[0]
    assert [line for unit in units for line in unit.splitlines() if "/srv/" in line] == []


def test_locations_stand_in_a_site(tmp_path: Path) -> None:
    check_site(page, tmp_path, "/bin/true")
    text = (tmp_path / "nginx.conf").read_text()
    assert text.index("server {\n") < text.index("proxy_pass http://127.0.0.1:8080;")


def test_haproxy_is_shown_a_frontend_without_the_certificate(tmp_path: Path) -> None:
    check_front(page, tmp_path, "/bin/true")
    text = (tmp_path / "haproxy.cfg").read_text()
    assert "    bind 127.0.0.1:8443\n    http-request set-header X-Forwarded-For %[src]\n" in text
    assert "ssl" not in text


def test_apache_is_allowed_to_serve_the_folder_that_it_takes_the_application_from() -> None:
    (text,) = blocks_of(page, "apache")
    (folder,) = re.findall(r"^WSGIScriptAlias / (\S+)/wsgi\.py$", text, re.MULTILINE)
    assert f"<Directory {folder}>\n    Require all granted\n</Directory>\n" in text


def test_keepalived_is_shown_a_script_and_a_user_of_here(tmp_path: Path) -> None:
    check_pair(page, tmp_path, "/bin/true")
    text = (tmp_path / "keepalived.conf").read_text()
    assert '    script "/usr/bin/true admin 127.0.0.1:60000 version"\n' in text
    assert "    script_user root\n    enable_script_security\n" in text
    assert "wsgistack admin" not in text
