"""The recipes of docs/frameworks.md, run as they stand there."""

from __future__ import annotations

import re
from typing import Any

import pytest
from webob import Request

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
