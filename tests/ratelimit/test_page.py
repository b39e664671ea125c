"""What docs/ratelimit.md shows works as it says."""

from __future__ import annotations

import doctest
import re
from typing import Any

from webob import Request

from tests.house.source import ROOT

PAGE = (ROOT / "docs/ratelimit.md").read_text()


def read_page() -> dict[str, Any]:
    """Return the names that the page's Python blocks define, run one after the other."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    return names


def ask(application: Any, path: str, method: str = "GET", **headers: str) -> int:
    request = Request.blank(path, method=method, environ={"REMOTE_ADDR": "198.51.100.1"}, headers=headers)
    response = request.get_response(application)
    response.body  # noqa: B018 - reads and closes it
    return int(response.status_int)


def test_the_rules_of_the_page_do_what_it_says() -> None:
    application = read_page()["application"]
    assert [ask(application, "/static/x") for _ in range(60)] == [200] * 60
    assert [ask(application, "/login", "POST") for _ in range(6)] == [200] * 5 + [429]
    assert [ask(application, "/api/export", **{"X-Api-Key": "sesame"}) for _ in range(5)] == [200] * 4 + [429]


def test_the_shedding_of_the_page_serves_whom_it_can() -> None:
    assert ask(read_page()["guarded"], "/pay") == 200


def test_the_error_of_the_page_is_the_error() -> None:
    (block,) = re.findall(r"^```pycon\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, read_page(), "page", "ratelimit.md", 0)
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_every_limit_that_the_page_lists_can_be_read() -> None:
    from wsgistack.ratelimit.algorithms import make_counter
    from wsgistack.ratelimit.rates import UNLIMITED, parse_rates

    section = PAGE.partition("## The language of limits")[2].partition("## ")[0]
    words = [
        word
        for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        for word in re.findall("`([^`]*)`", row)
    ]
    assert len(words) == 13
    for word in words:
        for rate in parse_rates(word):
            assert rate == UNLIMITED or make_counter(rate)
