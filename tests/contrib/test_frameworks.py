"""The recipes of docs/frameworks.md, run as they stand there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.test import override_settings
from paste.deploy import loadapp
from webob import Request

from tests.contrib import test_django  # noqa: F401  # it configures Django's settings
from tests.house.source import ROOT
from wsgistack.contrib.django_stack import CHECKS

PAGE = (ROOT / "docs" / "frameworks.md").read_text()
RECIPES = dict(
    re.findall(r"^## (Flask|Bottle|Falcon)\n.*?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)


def test_there_is_a_recipe_for_each() -> None:
    assert list(RECIPES) == ["Flask", "Bottle", "Falcon"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_answers_and_limits(name: str) -> None:
    module: dict[str, Any] = {"__name__": f"recipe_of_{name}"}
    exec(RECIPES[name], module)  # noqa: S102  # a page of our own
    answers = [
        Request.blank("/", {"REMOTE_ADDR": "192.0.2.1"}).get_response(module["application"]) for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].text == "hello"
    assert all("X-Request-Id" in answer.headers for answer in answers)


def test_the_page_lists_every_check_of_django() -> None:
    assert re.findall(r"^\| `(wsgistack\.W\d+)`", PAGE, re.MULTILINE) == list(CHECKS)


def indented(marker: str) -> str:
    """Return the indented block of the page that holds *marker*."""
    (text,) = [
        one for one in re.findall(r"^\n((?: {4}.*\n|\n(?= {4}))+)", PAGE, re.MULTILINE) if marker in one
    ]
    return dedent(text)


def test_the_recipe_for_django_makes_the_stack_that_its_settings_name() -> None:
    (line,) = re.findall(r"^WSGISTACK = (.*)$", indented("INSTALLED_APPS"), re.MULTILINE)
    module: dict[str, Any] = {}
    with override_settings(WSGISTACK=ast.literal_eval(line), ALLOWED_HOSTS=["*"]):
        exec(indented("wrap_application("), module)  # noqa: S102  # a page of our own
    stack = module["application"]
    assert [bool(stack.layer(name)) for name in ("trust", "rate_limit", "compression")] == [True] * 3


def make_site(global_conf: dict[str, str]) -> Any:
    """Stand for egg:mysite."""

    def site(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello" * 200]

    return site


def test_the_recipe_for_paste_deploy_answers_and_limits(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    text = text.replace("use = egg:mysite", f"paste.app_factory = {__name__}:make_site")
    (tmp_path / "site.ini").write_text(text)
    site = loadapp("config:site.ini", relative_to=str(tmp_path))
    ask = Request.blank("/", {"REMOTE_ADDR": "192.0.2.1", "HTTP_ACCEPT_ENCODING": "gzip"})
    answers = [ask.get_response(site) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["Content-Encoding"] == "gzip"
    assert all("X-Request-Id" in answer.headers for answer in answers)
