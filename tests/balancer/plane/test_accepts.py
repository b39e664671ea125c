"""Whether a client would rather have HTML: the compiled reader says what ratelimit/answers.py says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.plane.accepts import accepts_html
from wsgistack.ratelimit.answers import prefers_html


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0.9, application/problem+json;q=0.8", True),
        ("TEXT/HTML ; Q=1.0", True),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
        ("text/html;level=1;q=0.3,application/json;q=0.2", True),
        ("text/html;q=.5", True),
        ("text/html;q=0.0001", False),
    ],
)
def test_browsers_get_pages_and_programs_get_json(accept: str, html: bool) -> None:
    assert accepts_html(accept.encode()) is html


TYPES = [
    "text/html",
    "application/json",
    "application/problem+json",
    "*/*",
    "text/plain",
    "",
    "+json",
    "Text/HTML ",
]
WEIGHTS = [
    "",
    ";q=1",
    ";q=0.5",
    ";q=0.05",
    "; q = 0.9",
    ";q=0",
    ";q=1.000",
    ";q=x",
    ";level=1;q=0.2",
    ";q=0.2;q=0.9",
    ";",
]


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(WEIGHTS)).map("".join), max_size=5))
def test_the_compiled_reader_is_the_twin_of_the_plain_one(parts: list[str]) -> None:
    accept = ", ".join(parts)
    assert accepts_html(accept.encode()) is prefers_html(accept)
