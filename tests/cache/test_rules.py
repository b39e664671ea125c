"""Rules of the operator: the first that is about a request counts."""

import pytest

from wsgistack.cache.rules import Rule, RuleBook
from wsgistack.wsgi import EnvironRequest, environ_of


@pytest.mark.parametrize(
    ("path", "host", "url", "found"),
    [
        ("*", "", "http://a.example/x", 0),
        ("/*", "", "http://a.example//x", 0),
        ("/news/* /*", "", "http://a.example/x", 0),
        ("/*", "b.example", "http://a.example/x", 1),
        ("/*", "a.example", "http://A.example.:80/x", 0),
        ("/news/*", "", "http://a.example/x", 1),
        ("/*.html", "", "http://a.example/x", 1),
    ],
)  # fmt: skip
def test_a_first_rule_for_everything_hides_the_others_and_no_other_does(
    path: str, host: str, url: str, found: int
) -> None:
    rules = [Rule(path, host=host), Rule("/x")]
    assert RuleBook(rules).find(EnvironRequest(environ_of(url))) is rules[found]
