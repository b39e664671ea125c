"""What others add to the same views, in the same turns, so that an aim can be judged by it; see `bench.wrap`.

None of them does what a stack does: they show what any code costs around an application, which has it out of
the processor's caches by then, and what those cost that do a part of it.
"""

from __future__ import annotations

import logging
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wsgi import ClosingIterator

from bench.around import VIEWS, shown
from bench.stacks import ENVIRON, PARTS, SESSION, ask
from bench.turns import added, in_turns
from wsgistack import wrap

__all__ = ["show_controls"]

App = Callable[..., Any]
LOG = logging.getLogger("bench.controls")
COUNT = len(PARTS)
EVERYTHING = "everything"


def show_controls(site: Mapping[str, App], more: Mapping[str, App], cookie: str, turns: int) -> None:
    """Print what each adds to each view for who is signed in; *more*: the same views behind more of Django's middleware."""
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    LOG.addHandler(logging.FileHandler(os.devnull))
    for path, (title, slower) in VIEWS.items():
        view, draw = site[path], random.Random(path)
        apps: dict[str, App] = {
            "bare": view,
            "the same view, not wrapped": view,
            f"{COUNT} functions that pass it on": many(pass_on, view),
            f"{COUNT} that note something and add a field": many(note, view),
            "ProxyFix": ProxyFix(view),
            "a line by logging": log_lines(view),
            "GZip, ConditionalGet": more[path],
            f"ProxyFix, {COUNT - 4} that note, a line, GZip, ConditionalGet": ProxyFix(
                log_lines(many(note, more[path], COUNT - 4))
            ),
            EVERYTHING: wrap(view, PARTS),
        }
        environ = {**ENVIRON, "PATH_INFO": path, "HTTP_COOKIE": f"{cookie}; {SESSION}"}
        taken = in_turns({name: _asking(app, environ) for name, app in apps.items()}, turns // slower, draw)
        base = taken.pop("bare")
        print(f"| µs added to: {title} | CPU µs, 95 % | share |")
        print("|---|---|---|")
        for name, times in taken.items():
            print(f"| {name} | {shown(added(base, times, draw), statistics.median(base))} |")
        print()


def _asking(app: App, environ: Mapping[str, Any]) -> Callable[[], object]:
    return lambda: ask(app, dict(environ))


def many(make: Callable[[App], App], app: App, count: int = COUNT) -> App:
    """Return *app* in so many of what *make* gives, each with code of its own, as those of different authors have."""
    for _ in range(count):
        own = FunctionType(_copied(make.__code__), make.__globals__)
        app = own(app)
    return app


def _copied(code: CodeType) -> CodeType:
    return code.replace(
        co_consts=tuple([_copied(one) if isinstance(one, CodeType) else one for one in code.co_consts])
    )


def pass_on(app: App) -> App:
    """Return what does nothing."""

    def passing(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ, start_response)

    return passing


def note(app: App) -> App:
    """Return what does about the least that a component can do."""

    def noting(environ: dict[str, Any], start_response: Any) -> Any:
        environ["bench.seen"] = environ.get("REMOTE_ADDR")

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Seen", "1")], *rest)

        return app(environ, started)

    return noting


def log_lines(app: App) -> App:
    """Return what writes a line for each response once it is over, by Python's logging."""

    def logging_it(environ: dict[str, Any], start_response: Any) -> Any:
        began, seen = time.perf_counter(), ["-"]

        def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            seen[0] = status
            return start_response(status, headers, *rest)

        def ended() -> None:
            took = time.perf_counter() - began
            LOG.info(
                "%s %s %s %s %.6f",
                environ.get("REMOTE_ADDR"),
                environ.get("REQUEST_METHOD"),
                environ.get("PATH_INFO"),
                seen[0],
                took,
            )

        return ClosingIterator(app(environ, started), ended)

    return logging_it
