"""Who asked how often is counted exactly, by hour, and only who is allowed reads it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.wsgi_shapes import Application, Broken, Shape, serve
from wsgistack.components.metering import Metering
from wsgistack.errors import ConfigurationError, SettingError
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.usage import show_key
from wsgistack.stack import wrap

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
HERE = {"REMOTE_ADDR": "127.0.0.1", "PATH_INFO": "/usage"}


def rows(metering: Metering) -> dict[str, tuple[int, ...]]:
    """Return the counts (1xx to 5xx, refused, would_refuse) by key."""
    return {show_key(one.key): one.counts for one in metering.meter.usage()}


def metering(shape: Shape | None = None, **settings: Any) -> Metering:
    return Metering(Application(shape or Shape()), now=lambda: NOW, **settings)


def test_requests_are_counted_by_address_and_class_of_status() -> None:
    site = metering()
    serve(site, {"REMOTE_ADDR": "192.0.2.1"})
    serve(site, {"REMOTE_ADDR": "192.0.2.2"})
    site.app = Application(Shape(status="404 Not Found"))
    serve(site, {"REMOTE_ADDR": "192.0.2.1"})
    assert rows(site) == {"192.0.2.1": (0, 1, 0, 1, 0, 0, 0), "192.0.2.2": (0, 1, 0, 0, 0, 0, 0)}


@pytest.mark.parametrize(
    ("by", "variables", "key"),
    [
        ("REMOTE_USER", {"REMOTE_USER": "ann"}, "d8963d899008cf8c"),
        ("HTTP_X_API_KEY", {"HTTP_X_API_KEY": "ann"}, "d8963d899008cf8c"),
        ("HTTP_X_API_KEY", {}, "192.0.2.1"),
    ],
    ids=["a user", "an API key", "nothing told"],
)
def test_requests_are_counted_by_what_by_names(by: str, variables: dict[str, str], key: str) -> None:
    site = metering(by=by)
    serve(site, variables)
    (found,) = rows(site)
    assert found.startswith(key)


def test_a_user_whom_the_application_finds_is_counted() -> None:
    site = metering(by="REMOTE_USER")

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["REMOTE_USER"] = "ann"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    site.app = app
    serve(site)
    assert "192.0.2.1" not in rows(site)


def test_an_application_that_fails_is_a_500() -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        raise Broken("at once")

    site = metering()
    site.app = broken
    assert isinstance(serve(site).error, Broken)
    assert rows(site) == {"192.0.2.1": (0, 0, 0, 0, 1, 0, 0)}


@pytest.mark.parametrize(
    ("dry_run", "counts"), [(False, (0, 1, 0, 1, 0, 1, 0)), (True, (0, 2, 0, 0, 0, 0, 1))]
)
def test_what_a_limit_refuses_or_would_refuse_is_counted(dry_run: bool, counts: tuple[int, ...]) -> None:
    stack = wrap(Application(Shape()), metering=True, rate_limit={"rate": "1/day", "dry_run": dry_run})
    for _ in range(2):
        serve(stack)
    assert rows(stack.layer("metering")) == {"192.0.2.1": counts}


def test_what_a_rule_only_watches_is_not_refused_whatever_the_answer() -> None:
    rules = [Rule("watched", "1/day", dry_run=True)]
    stack = wrap(
        Application(Shape(status="404 Not Found")),
        metering=True,
        rate_limit={"rate": "9/day", "rules": rules},
    )
    for _ in range(2):
        serve(stack)
    assert rows(stack.layer("metering")) == {"192.0.2.1": (0, 0, 0, 2, 0, 0, 1)}


def test_the_page_shows_the_rows_to_this_machine() -> None:
    site = metering()
    serve(site)
    page = json.loads(serve(site, dict(HERE)).body)
    assert [(row["hour"], row["rule"], row["key"], row["2xx"]) for row in page["usage"]] == [
        ("2026-11-18T11:00Z", "requests", "192.0.2.1", 1)
    ]


def test_for_others_the_page_is_the_application_s() -> None:
    site = metering()
    assert serve(site, {**HERE, "REMOTE_ADDR": "192.0.2.1"}).body == b"hello"
    assert serve(metering(path=""), dict(HERE)).body == b"hello"


def test_a_folder_is_shared(tmp_path: Path) -> None:
    folder = str(tmp_path / "usage")
    one, other = metering(folder=folder), metering(folder=folder)
    serve(one)
    serve(other)
    assert rows(one) == {"192.0.2.1": (0, 2, 0, 0, 0, 0, 0)}


def test_several_processes_with_a_folder_are_told_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serve(metering(folder=str(tmp_path / "usage")), {"wsgi.multiprocess": True})
    assert caplog.records == []


def test_several_processes_without_a_folder_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    site = metering()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            serve(site, {"wsgi.multiprocess": True})
    assert [record.getMessage() for record in caplog.records] == [
        "usage_of_one_process: metering needs a folder to count for all of them"
    ]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "usage"}, "does not begin with /"),
        ({"keep": 60.0}, "the shortest is an hour"),
        ({"keep": 3599.0}, "keep: 3599 seconds; the shortest is an hour"),
        ({"by": "REMOTE_USER", "key": lambda asker: (b"a",)}, "both say"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        metering(**settings)


def test_rows_may_be_kept_for_an_hour_alone() -> None:
    site = metering(keep=3600.0)
    serve(site)
    assert rows(site) == {"192.0.2.1": (0, 1, 0, 0, 0, 0, 0)}


def test_a_limit_outside_of_it_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="metering has to stand outside of rate_limit"):
        wrap(Application(Shape()), [("rate_limit", "1/day"), "metering"])
