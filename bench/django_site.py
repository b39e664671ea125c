"""A Django site for measurements: three views with one query each, by the settings of `startproject`.

The query goes to sqlite in memory, whose connection is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ONE", "ROWS", "SELECT", "make_more", "make_site"]

SELECT, ONE, ROWS = "/select", "/one", "/rows"
CONTRIB = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
MORE = (
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
)
CONTEXT = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)
PAGES = {
    "base.html": """<!doctype html><html lang="en"><head><title>{% block title %}A site{% endblock %}</title>
<link rel="stylesheet" href="/static/site.css"></head><body><nav><a href="{% url 'rows' %}">All</a></nav>
{% for message in messages %}<p class="{{ message.tags }}">{{ message }}</p>{% endfor %}
<main>{% block content %}{% endblock %}</main><footer>A site</footer></body></html>""",
    "one.html": """{% extends "base.html" %}{% block title %}{{ group.name }}{% endblock %}
{% block content %}<h1>{{ group.name }}</h1><p>Number {{ group.pk }}.</p>{% endblock %}""",
    "rows.html": """{% extends "base.html" %}{% block title %}Groups{% endblock %}{% block content %}<ul>
{% for group in groups %}<li id="g{{ group.pk }}">{{ forloop.counter }} {{ group.name }}</li>
{% endfor %}</ul>{% endblock %}""",
}


def make_site() -> dict[str, Callable[..., Any]]:
    """Return the applications of each path: SELECT by a raw cursor behind no middleware; ONE, a row by its key
    in a template, and ROWS, 50 of them, behind that of `startproject`.
    """
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.test import override_settings

    loaders = [
        ("django.template.loaders.cached.Loader", [("django.template.loaders.locmem.Loader", PAGES)]),
    ]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="a bench",
        ROOT_URLCONF=type("urls", (), {}),
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None}
        },
        INSTALLED_APPS=[f"django.contrib.{name}" for name in CONTRIB],
        MIDDLEWARE=MIDDLEWARE,
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"context_processors": CONTEXT, "loaders": loaders},
            }
        ],
    )
    django.setup()
    settings.ROOT_URLCONF.urlpatterns = _views()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Group

    Group.objects.bulk_create([Group(name=f"group {number}") for number in range(50)])
    whole = WSGIHandler()
    with override_settings(MIDDLEWARE=()):
        naked = WSGIHandler()
    return {SELECT: naked, ONE: whole, ROWS: whole}


def make_more() -> dict[str, Callable[..., Any]]:
    """Return what `make_site` did, each view behind MORE too."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    with override_settings(MIDDLEWARE=(*MORE, *MIDDLEWARE)):
        whole = WSGIHandler()
    with override_settings(MIDDLEWARE=MORE):
        return {SELECT: WSGIHandler(), ONE: whole, ROWS: whole}


def _views() -> list[Any]:
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.http import HttpRequest, HttpResponse
    from django.shortcuts import render
    from django.urls import path

    def select(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return HttpResponse(str(cursor.fetchone()))

    def one(request: HttpRequest) -> HttpResponse:
        return render(request, "one.html", {"group": Group.objects.get(pk=7)})

    def rows(request: HttpRequest) -> HttpResponse:
        return render(request, "rows.html", {"groups": Group.objects.order_by("name")[:50]})

    return [path("select", select), path("one", one), path("rows", rows, name="rows")]
