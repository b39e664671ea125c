"""The path that limits see: the compiled reader says what http/paths.py says."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.balancer.plane.paths import glob_fits, may_fit, normal_path_bytes
from wsgistack.http.paths import normal_path, path_readings


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/login", "/login"),
        ("/login?next=/x", "/login"),
        ("//login", "/login"),
        ("/./login", "/login"),
        ("/a/../login", "/login"),
        ("/%6C%6fgin", "/login"),
        ("/login;jsession=1", "/login"),
        ("/a%2F..%2Flogin", "/login"),
        ("/login/", "/login/"),
        ("/login/.", "/login/"),
        ("/login/x/..", "/login/"),
        ("/..", "/"),
        ("/", "/"),
        ("*", "/*"),
        ("/100%", "/100%"),
        ("/%zz%4", "/%zz%4"),
    ],
)
def test_one_place_has_one_path(target: str, path: str) -> None:
    assert normal_path_bytes(target.encode()) == path.encode()


PIECES = [
    "/",
    ".",
    "..",
    ";",
    "a",
    "login",
    "%2F",
    "%2e",
    "%2E%2e",
    "%",
    "%4",
    "?",
    "//",
    "/../",
    "x;y",
    "%3B",
    "%00",
]


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("")
@example("...")
@example("/a/...")
def test_the_compiled_reader_is_the_twin_of_the_plain_one(target: str) -> None:
    decoded = unquote_to_bytes(target.partition("?")[0]).decode("latin-1")
    assert normal_path_bytes(target.encode()).decode("latin-1") == normal_path(decoded)


@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.sampled_from(["*", "/a*", "*/login", "*;*", "/../*", "*/..", "/", "/a/"]),
)
@example("/a/../..", "/a*")
def test_what_an_application_may_read_is_the_same_here_and_there(target: str, glob: str) -> None:
    decoded = unquote_to_bytes(target.partition("?")[0]).decode("latin-1")
    seen = normal_path_bytes(target.encode()).decode("latin-1")
    may = may_fit(glob.encode(), target.encode()) or fits(glob, seen)
    assert may is any(fits(glob, path) for path in path_readings(decoded))


def fits(glob: str, path: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in glob.split("*"))
    return re.fullmatch(pattern, path, re.DOTALL) is not None


@settings(max_examples=examples(400), deadline=None)
@given(st.text("ab/*", max_size=8), st.text("ab/*", max_size=10))
@example("/news*", "/news/")
@example("*a*b", "aabab")
@example("", "")
@example("**", "")
def test_a_star_stands_for_anything(glob: str, path: str) -> None:
    assert glob_fits(glob.encode(), path.encode()) is fits(glob, path)


def test_a_glob_of_many_stars_takes_no_long_time() -> None:
    assert not glob_fits(b"*a" * 60 + b"b", b"a" * 60_000)
