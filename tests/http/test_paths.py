"""Paths as rules name them."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from wsgistack.http.paths import compile_globs, host_name, normal_path


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("", "/"),
        ("/login", "/login"),
        ("//login", "/login"),
        ("/./login", "/login"),
        ("/a/../login", "/login"),
        ("/../../login", "/login"),
        ("/login;jsessionid=1", "/login"),
        ("/login/", "/login/"),
        ("/login//", "/login/"),
        ("/login/.", "/login/"),
        ("/Login", "/Login"),
        ("/;x/;y", "/"),
    ],
)
def test_one_place_has_one_path(path: str, normal: str) -> None:
    assert normal_path(path) == normal


def test_a_star_stands_for_anything_and_nothing_else_is_special() -> None:
    fits = compile_globs(["/news/*", "/a.b"]).fullmatch
    assert [path for path in ("/news/1/2", "/news", "/a.b", "/axb") if fits(path)] == ["/news/1/2", "/a.b"]


@given(glob=st.text("ab*/\n", max_size=10), path=st.text("ab/\n", max_size=16))
@settings(max_examples=examples(300))
def test_globs_fit_what_those_of_a_shell_fit(glob: str, path: str) -> None:
    assert bool(compile_globs(["/none", glob]).fullmatch(path)) is fnmatchcase(path, glob)


def test_a_path_that_nearly_fits_many_stars_costs_no_more_than_another() -> None:
    """With all places tried for each part, one such path takes a worker for days."""
    fits = compile_globs(["/*/a/*/b/*/c/*/d/*/e"]).fullmatch
    path = "/a/b/c/d" * 1000
    assert not fits(path)
    assert fits(path + "/e")


def test_a_host_is_its_name() -> None:
    assert host_name("WWW.Example.org.:8080") == "www.example.org"
