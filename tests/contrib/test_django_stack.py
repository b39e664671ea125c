"""settings.WSGISTACK is wrapped around a Django project, and checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from webob import Request

from tests.contrib import test_django  # noqa: F401  # it configures Django's settings
from tests.house.source import ROOT
from wsgistack.contrib import django_stack
from wsgistack.contrib.django_stack import CHECKS, check_deployment, check_stack, wrap_application
from wsgistack.errors import ConfigurationError

SAFE: dict[str, Any] = {
    "ALLOWED_HOSTS": ["www.example.org"],
    "CACHES": {"default": {"BACKEND": "wsgistack.contrib.django.MemcacheRingCache", "LOCATION": []}},
    "MIDDLEWARE": ["wsgistack.contrib.django_pages.PageCacheMiddleware"],
    "WSGISTACK": {"trust": ["10.0.0.0/8"], "rate_limit": "1/minute", "page_cache": True},
    "SESSION_COOKIE_SECURE": True,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "USE_X_FORWARDED_HOST": True,
}
WITHOUT_TRUST = {"rate_limit": "1/minute", "page_cache": True}
LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def hello(request: HttpRequest) -> HttpResponse:
    """The only view."""
    return HttpResponse("hello from Django")


urlpatterns = [path("", hello)]


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id) for message in messages]


def test_the_settings_name_the_components() -> None:
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], WSGISTACK={"rate_limit": "1/minute"}):
        application = wrap_application(get_wsgi_application())
        answers = [Request.blank("/").get_response(application) for _ in range(2)]
    assert [name for name, _ in application.layers] == ["rate_limit"]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].text == "hello from Django"


def test_without_settings_it_is_told_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match=r"settings\.WSGISTACK is missing; an example"):
        wrap_application(lambda environ, start_response: [])


def test_a_careful_deployment_is_not_warned() -> None:
    with override_settings(**SAFE):
        assert check_stack() == []
        assert check_deployment() == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("wsgistack.W001", {"ALLOWED_HOSTS": ["*"]}),
        (
            "wsgistack.W002",
            {"WSGISTACK": {}, "SECURE_PROXY_SSL_HEADER": None, "USE_X_FORWARDED_HOST": False},
        ),
        ("wsgistack.W003", {"WSGISTACK": {}, "USE_X_FORWARDED_HOST": False}),
        ("wsgistack.W004", {"CACHES": LOCAL}),
        (
            "wsgistack.W005",
            {"WSGISTACK": {}, "SECURE_PROXY_SSL_HEADER": None, "SESSION_COOKIE_SECURE": False},
        ),
        (
            "wsgistack.W006",
            {
                "WSGISTACK": WITHOUT_TRUST,
                "SILENCED": ["wsgistack.W003", "wsgistack.W005"],
            },
        ),
        ("wsgistack.W007", {"MIDDLEWARE": []}),
    ],
)
def test_each_check_finds_what_it_is_about(name: str, change: dict[str, Any]) -> None:
    silenced = change.get("SILENCED", [])
    with override_settings(**SAFE | change):
        messages = check_deployment()
    assert [one for one in ids(messages) if one not in silenced] == [name]
    assert all(message.hint for message in messages)


ON_PLAIN_HTTP: dict[str, Any] = SAFE | {
    "WSGISTACK": {},
    "SESSION_COOKIE_SECURE": False,
    "SECURE_PROXY_SSL_HEADER": None,
    "USE_X_FORWARDED_HOST": False,
}


@pytest.mark.parametrize(
    "https", ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"], ids=str.lower
)
def test_whatever_asks_for_https_needs_somebody_who_tells_of_it(https: str) -> None:
    with override_settings(**ON_PLAIN_HTTP):
        assert check_deployment() == []
    with override_settings(**ON_PLAIN_HTTP | {https: True}):
        assert ids(check_deployment()) == ["wsgistack.W002"]
    with override_settings(**ON_PLAIN_HTTP | {https: True, "CSRF_TRUSTED_ORIGINS": ["https://example.org"]}):
        assert check_deployment() == []


def test_a_proxy_that_tells_only_the_host_shares_a_limit_too() -> None:
    change = {"WSGISTACK": {"rate_limit": "1/minute"}, "USE_X_FORWARDED_HOST": True}
    with override_settings(**ON_PLAIN_HTTP | change):
        assert ids(check_deployment()) == ["wsgistack.W005", "wsgistack.W006"]


def test_one_local_cache_of_several_is_found() -> None:
    with override_settings(**SAFE | {"CACHES": {**SAFE["CACHES"], "second": LOCAL["default"]}}):
        assert ids(check_deployment()) == ["wsgistack.W004"]


def test_the_adapter_has_to_be_the_first() -> None:
    behind = ["django.middleware.common.CommonMiddleware", *SAFE["MIDDLEWARE"]]
    with override_settings(**SAFE | {"MIDDLEWARE": behind}):
        assert ids(check_deployment()) == ["wsgistack.W007"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"ALLOWED_HOSTS": None}, []),
        ({"CACHES": {"default": None}}, []),
        ({"CACHES": {"default": None, "second": LOCAL["default"]}}, ["wsgistack.W004"]),
        ({"MIDDLEWARE": None}, ["wsgistack.W007"]),
    ],
    ids=["no hosts", "no cache", "no cache beside one", "no middleware"],
)
def test_a_setting_that_is_none_is_empty(change: dict[str, Any], found: list[str]) -> None:
    with override_settings(**SAFE | change):
        assert ids(check_deployment()) == found


def test_caches_that_are_none_are_no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(**SAFE):  # which Django itself could not end with such caches
        monkeypatch.setattr(settings, "CACHES", None)
        assert check_deployment() == []
        monkeypatch.undo()


def test_every_check_has_a_test() -> None:
    assert list(CHECKS) == [f"wsgistack.W00{number}" for number in range(1, 8)]


def test_a_stack_that_cannot_be_made_is_an_error() -> None:
    with override_settings(WSGISTACK={"rate_limt": "1/minute"}):
        (error,) = check_stack()
        assert check_deployment() == []
    assert error.id == "wsgistack.E001"
    assert "rate_limit" in error.msg


def test_manage_py_check_shows_and_silences_them(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        f"INSTALLED_APPS = ['{django_stack.__name__}.Checks']\n"
        "ALLOWED_HOSTS = ['*']\nSECRET_KEY = 'x'\nSILENCED_SYSTEM_CHECKS = ['wsgistack.W004']\n"
        "WSGISTACK = {'compression': 'on'}\n"
    )
    command = [sys.executable, "-m", "django", "check", "--deploy", "--settings", "shop"]
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "(wsgistack.W001) ALLOWED_HOSTS has '*'" in done.stderr
    assert "wsgistack.W004" not in done.stderr
