"""Paths as rules name them."""

import pytest

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


def test_a_host_is_its_name() -> None:
    assert host_name("WWW.Example.org.:8080") == "www.example.org"
