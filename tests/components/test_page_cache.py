"""The page cache as a component of a stack."""

from collections.abc import Iterable
from typing import Any

import pytest
from webob import Request

from wsgistack import wrap
from wsgistack.errors import ConfigurationError


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_it_is_made_by_its_name_with_rules_as_a_file_has_them() -> None:
    stack = wrap(
        app, page_cache={"profile": "rfc9111", "keep": "2m", "rules": [{"path": "/news/*", "ttl": 60}]}
    )
    answers = [Request.blank("/news/1").get_response(stack).headers["Cache-Status"] for _ in range(2)]
    assert answers[0].endswith("; stored")
    assert answers[1].startswith("wsgistack; hit; ")
    assert stack.layer("page_cache").engine.policy.keep_s == 120


def test_it_stands_inside_of_what_must_not_be_stored() -> None:
    stack = wrap(app, page_cache=True, rate_limit="1/minute", compression=True)
    assert [name for name, _ in stack.layers] == ["rate_limit", "page_cache", "compression"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rules": [{"path": "news"}]}, "path: 'news' does not begin with '/'"),
        ({"rules": [{"pth": "/news"}]}, "is not a rule: .*pth"),
        ({"profile": "anonymus"}, "no profile.*did you mean 'anonymous'"),
    ],
)
def test_what_is_wrong_is_told(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        wrap(app, page_cache=settings)
