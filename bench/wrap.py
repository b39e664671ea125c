"""What a stack adds to a request: each component alone, and all of them together.

    python -m bench.wrap [--rounds N] [--profile]

CPU time of this process per request that reaches a WSGI application, in process, the median of the
rounds.  The application answers with 1,000 bytes of text/html to a client that accepts no encoding, so
that nothing is compressed.  Of a Django site with the middleware of `startproject` two views are measured
bare and wrapped, each with one query on sqlite: one says what `select 1` gives, one lists 50 rows of a
model in a template.

In a loop of its own all of a stack is at hand in the processor's caches, which an application empties
between two requests.  So a second table times single requests (by the wall clock, lower quartile) right
behind one of the bare Django site, and once more when the same was done twice.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from wsgistack import wrap

REQUESTS = 2000
BEHIND, TURNS = 100, 10  # requests of one stack in a row, and how often
SESSION = "sessionid=0123456789abcdef0123456789abcdef"
PAGE = [b"x" * 1000]
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/a/page",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "10.0.0.1",
    "HTTP_X_FORWARDED_FOR": "192.0.2.1",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_HOST": "www.example",
    "HTTP_USER_AGENT": "bench",
    "HTTP_ACCEPT": "*/*",
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": io.StringIO(),
    "wsgi.version": (1, 0),
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
PARTS: dict[str, object] = {
    "trust": ["10.0.0.0/8"],
    "request_id": True,
    "access_log": "/dev/null",
    "metrics": True,
    "metering": True,
    "rate_limit": "1000000/second",
    "buckets": {"split": "beta 5%", "secret": "0123456789abcdef"},
    "page_cache": True,
    "compression": True,
    "conditional": True,
}
NO_STEPS = ("page_cache", "compression", "conditional")
LEAST, LISTED = "Django view, `select 1`", "Django view, a list of 50 rows"
AROUND = ", all around it"
WHOLE = (
    "nothing",
    *[f"{view}{rest}" for view in (LEAST, LISTED) for rest in ("", AROUND)],
)  # not subtracted from
COLD = ("nothing", *PARTS, "all")
CONTRIB = ("auth", "contenttypes", "sessions", "messages")
TEMPLATE = """<!doctype html><title>{{ title }}</title><ul>
{% for group in groups %}<li id="g{{ group.pk }}">{{ forloop.counter }} {{ group.name }}</li>
{% endfor %}</ul>"""
IMPORTS = "import time; at = time.perf_counter(); import wsgistack; print((time.perf_counter() - at) * 1000)"


class Behind(NamedTuple):
    """Microseconds of a request behind one of another application, and behind its like."""

    cold: float
    warm: float


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer at once, with what no cache keeps."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "1000")])
    return PAGE


def kept(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what a cache keeps."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Cache-Control", "max-age=3600")])
    return PAGE


def without(*names: str) -> dict[str, object]:
    """Return PARTS but some."""
    return {part: value for part, value in PARTS.items() if part not in names}


def django_site() -> Callable[..., Any]:
    """Return a Django site as `startproject` makes them, with two views, at /least and /listed."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="a bench",
        ROOT_URLCONF=type("urls", (), {}),
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None}
        },
        INSTALLED_APPS=[f"django.contrib.{name}" for name in CONTRIB],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
    )
    django.setup()
    settings.ROOT_URLCONF.urlpatterns = django_views()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Group

    Group.objects.bulk_create([Group(name=f"group {number}") for number in range(50)])
    site: Callable[..., Any] = get_wsgi_application()
    return site


def django_views() -> list[Any]:
    """Return the patterns of the two views."""
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.http import HttpRequest, HttpResponse
    from django.template import Context, Engine
    from django.urls import path

    template = Engine().from_string(TEMPLATE)

    def least(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return HttpResponse(str(cursor.fetchone()))

    def listed(request: HttpRequest) -> HttpResponse:
        groups = Group.objects.order_by("name")[:50]
        return HttpResponse(template.render(Context({"title": "Groups", "groups": groups})))

    return [path("least", least), path("listed", listed)]


def at(path: str, app: Callable[..., Any]) -> Callable[..., Any]:
    """Return *app* asked for another path."""

    def asked(environ: dict[str, Any], start_response: Any) -> Any:
        environ["PATH_INFO"] = path
        return app(environ, start_response)

    return asked


def measure(app: Callable[..., Any], cookie: str) -> float:
    """Return microseconds of CPU per request."""
    environ = {**ENVIRON, "HTTP_COOKIE": cookie} if cookie else ENVIRON

    def start_response(*arguments: Any) -> None:
        return None

    began = time.process_time()
    for _ in range(REQUESTS):
        body = app(dict(environ), start_response)
        for _block in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return (time.process_time() - began) / REQUESTS * 1e6


def measure_behind(
    site: Callable[..., Any], apps: dict[str, Callable[..., Any]], cookie: str
) -> dict[str, Behind]:
    """Return of each of *apps* the microseconds of a request right behind one of *site*, and of a third one."""
    environ = {**ENVIRON, "HTTP_COOKIE": cookie}
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in apps}

    def timed(app: Callable[..., Any]) -> float:
        asked = dict(environ)
        began = time.perf_counter_ns()
        body = app(asked, lambda *arguments: None)
        for _block in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return (time.perf_counter_ns() - began) / 1000

    for _ in range(TURNS):
        for name, app in apps.items():
            for _ in range(BEHIND):  # a server has one stack: those of others are not to come between
                timed(site)
                cold, _again, warm = timed(app), timed(app), timed(app)
                taken[name][0].append(cold)
                taken[name][1].append(warm)
    return {name: Behind(*map(lower_quartile, times)) for name, times in taken.items()}


def lower_quartile(times: list[float]) -> float:
    """Return what three quarters of *times* are above."""
    return statistics.quantiles(times, n=4)[0]


def cookie_of(parts: dict[str, object]) -> str:
    """Return the cookie that a visitor brings from his second request on."""
    kept: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept.extend(value.partition(";")[0] for name, value in headers if name == "Set-Cookie")

    b"".join(wrap(bare, parts)(dict(ENVIRON), start_response))  # the head may come with the first block
    return kept[0]


def show_profile(cookie: str) -> None:
    """Print which functions the time goes to; the profiler makes calls dearer than they are."""
    app = wrap(bare, PARTS)
    measure(app, cookie)
    profile = cProfile.Profile()
    profile.runcall(measure, app, cookie)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def show_behind(taken: dict[str, Behind]) -> None:
    """Print the second table."""
    print("\n| µs added, of who is signed in | cold: behind a Django view | warm: behind its like |")
    print("|---|---|---|")
    base = taken["nothing"]
    for name, (cold, warm) in taken.items():
        if name != "nothing":
            print(f"| {name} | {cold - base.cold:.1f} | {warm - base.warm:.1f} |")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.wrap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="where `all` takes its time, nothing else")
    options = parser.parse_args()
    cookie = cookie_of(PARTS)
    if options.profile:
        show_profile(f"{cookie}; {SESSION}")
        return 0
    site = django_site()
    wrapped = wrap(site, PARTS)
    apps = {name: wrap(bare, {name: value}) for name, value in PARTS.items()}
    stacks: dict[str, Callable[..., Any]] = {
        "nothing": bare,
        **apps,
        "what is a step": wrap(bare, without(*NO_STEPS)),
        "all but page_cache": wrap(bare, without("page_cache")),
        "all but conditional": wrap(bare, without("conditional")),
        "all": wrap(bare, PARTS),
        "all, a page out of the cache": wrap(kept, PARTS),
        LEAST: at("/least", site),
        f"{LEAST}{AROUND}": at("/least", wrapped),
        LISTED: at("/listed", site),
        f"{LISTED}{AROUND}": at("/listed", wrapped),
    }
    visitors = (f"{cookie}; {SESSION}", cookie, "")
    taken: dict[str, tuple[list[float], ...]] = {name: ([], [], []) for name in stacks}
    for _ in range(options.rounds):
        for name, app in stacks.items():
            for times, brought in zip(taken[name], visitors, strict=True):
                times.append(measure(app, brought))
    base = [statistics.median(times) for times in taken["nothing"]]
    print("| µs added to a request | of who is signed in | of a visitor | of one who comes first |")
    print("|---|---|---|---|")
    for name, columns in taken.items():
        shown = [
            f"{statistics.median(times) - (0.0 if name in WHOLE else nothing):.1f}"
            for times, nothing in zip(columns, base, strict=True)
        ]
        print(f"| {name} | {' | '.join(shown)} |")
    told = {name: statistics.median(columns[0]) for name, columns in taken.items()}
    parts = sum(told[name] - told["nothing"] for name in PARTS)
    print(
        f"\nSigned in: {told['all'] - told['nothing']:.1f} µs for all, {parts:.1f} for each alone, added up."
    )
    for view in (LEAST, LISTED):
        share = told[f"{view}{AROUND}"] / told[view] - 1
        print(f"All adds {share:.1%} to the {view}.")
    show_behind(measure_behind(stacks[LEAST], {name: stacks[name] for name in COLD}, visitors[0]))
    run = [sys.executable, "-c", IMPORTS]
    spent = [float(subprocess.run(run, capture_output=True, check=True).stdout) for _ in range(11)]
    print(f"\n`import wsgistack`: {statistics.median(spent):.1f} ms.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
