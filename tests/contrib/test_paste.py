"""Filters in an ini file of PasteDeploy, around a Pyramid application."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadapp
from pyramid.config import Configurator
from pyramid.response import Response
from webob import Request

from wsgistack.components import COMPONENTS
from wsgistack.contrib import paste
from wsgistack.errors import ConfigurationError

SITE = """
[app:mysite]
paste.app_factory = tests.contrib.test_paste:make_site
"""


def make_site(global_conf: dict[str, str], **settings: str) -> Any:
    """Return a Pyramid application: the factory that the ini files name."""
    with Configurator(settings=settings) as config:
        config.add_route("home", "/")
        config.add_view(lambda request: Response("<p>from Pyramid " * 100), route_name="home")
        return config.make_wsgi_app()


def load_text(folder: Path, text: str) -> Any:
    (folder / "site.ini").write_text(text + SITE)
    return loadapp("config:site.ini", relative_to=str(folder))


def ask(app: Any, **environ: str) -> Any:
    response = Request.blank("/", {"REMOTE_ADDR": "10.0.0.1"} | environ).get_response(app)
    response.body  # noqa: B018 - reads and closes it, as a server does
    return response


def test_a_stack_is_read_from_an_ini_file(tmp_path: Path) -> None:
    app = load_text(
        tmp_path,
        """
[pipeline:main]
pipeline = stack mysite
[filter:stack]
use = egg:wsgistack
trust = 10.0.0.0/8
rate_limit = 2/60s
compression = on
compression.level = 9
compression.least_bytes = 1k
conditional = off
""",
    )
    assert [name for name, _ in app.layers] == ["trust", "rate_limit", "compression"]
    first = ask(app, HTTP_X_FORWARDED_FOR="192.0.2.7", HTTP_ACCEPT_ENCODING="gzip")
    assert (first.status_code, first.headers["Content-Encoding"]) == (200, "gzip")
    assert ask(app, HTTP_X_FORWARDED_FOR="192.0.2.7").text.startswith("<p>from Pyramid")
    assert ask(app, HTTP_X_FORWARDED_FOR="192.0.2.7").status_code == 429
    assert ask(app, HTTP_X_FORWARDED_FOR="192.0.2.8").status_code == 200


def test_what_is_off_stays_off_with_settings_of_its_own() -> None:
    app = paste.stack(
        lambda environ, start_response: [],
        {},
        **{"rate_limit": "OFF", "rate_limit.rate": "1/minute", "conditional.most_bytes": "1k"},
    )
    assert [name for name, _ in app.layers] == ["conditional"]


def test_each_component_is_a_filter(tmp_path: Path) -> None:
    app = load_text(
        tmp_path,
        """
[pipeline:main]
pipeline = limit id mysite
[filter:limit]
use = egg:wsgistack#rate_limit
rate = 1/minute
[filter:id]
use = egg:wsgistack#request_id
""",
    )
    assert "X-Request-Id" in ask(app).headers
    assert ask(app).status_code == 429


def test_what_is_wrong_is_told_with_the_nearest_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_text(
            tmp_path,
            """
[pipeline:main]
pipeline = stack mysite
[filter:stack]
use = egg:wsgistack
compresion = on
conditional.most_byte = 1k
""",
        )
    assert "2 errors" in str(caught.value)
    assert "'compression'" in str(caught.value)
    assert "'most_bytes'" in str(caught.value)


def test_the_entry_points_are_the_components() -> None:
    found = {
        one.name: one.load()
        for one in entry_points(group="paste.filter_app_factory")
        if one.value.startswith("wsgistack.")
    }
    assert sorted(found) == sorted(["main", *COMPONENTS.names()])
    assert all(callable(factory) for factory in found.values())


def test_a_module_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = paste.nothing
