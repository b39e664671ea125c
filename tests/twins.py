"""A whole stack twice: of compiled parts, and of their plain twins; and applications that keep to no rule.

`load_plain` gives the second one, a `World` asks one of them and notes everything that can be seen from outside.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from tests.house.source import find_files, module_name
from tests.wsgi_shapes import Broken, FileWrapper

__all__ = ["DOES", "SETTINGS", "Environ", "Plan", "Text", "World", "load_plain"]

COMPILED = [module_name(path) for path in find_files("*_cy.pyx", rooms=["wsgistack"])]
NOW = 1_795_000_000
UNTOLD = re.compile(r'"time":"[^"]*"|"total_us":\d+')  # in a line of a log
SETTINGS: dict[str, Any] = {
    "trust": ["10.0.0.0/8"],
    "request_id": True,
    "metrics": True,
    "metering": True,
    "rate_limit": {"rate": "4/minute; 1000/hour", "now": lambda: NOW * 1_000_000},
    "buckets": {"split": "beta 50%", "secret": "0123456789abcdef"},
    "page_cache": {"now": lambda: float(NOW), "coalesce_wait": 0.0},
    "compression": {"least_bytes": 0},
    "conditional": True,
}


class Text(str):
    """A text of a kind of its own, which PEP 3333 forbids."""

    __slots__ = ()


class Environ(dict[str, Any]):
    """An environ of a kind of its own, which PEP 3333 forbids."""


def load_plain() -> ModuleType:
    """Return `wsgistack.stack` of a second copy of the package, where nothing that has a plain twin is compiled."""
    own = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    try:
        for name, module in own.items():
            if name in COMPILED or not str(getattr(module, "__file__", "")).endswith(".so"):
                del sys.modules[name]
        sys.modules.update(dict.fromkeys(COMPILED))  # type: ignore[arg-type]  # so that its import fails
        stack = importlib.import_module("wsgistack.stack")
        stack.wrap(print, {**SETTINGS, "access_log": True})  # loads all of it while it can be had
        return stack
    finally:
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(own)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == "wsgistack"


@dataclass(frozen=True)
class Plan:
    """What an application does.  *error* is raised at *breaks*: a moment of it, or before a block's number.

    *head*: when it calls start_response; *does*: what it does to its environ; *body*: how it answers;
    *server_fails*: start_response itself raises; *leaves_after*: how many blocks the client takes.
    """

    head: str = "first"
    status: Any = "200 OK"
    headers: Any = (("Content-Type", "text/html"),)
    body: str = "list"
    blocks: tuple[Any, ...] = (b"hello",)
    does: str = "nothing"
    breaks: str | int | None = None
    error: type[BaseException] = Broken
    server_fails: bool = False
    leaves_after: int | None = None


class Body:
    """An iterator of an application; *close* is there where it is told to be."""

    def __init__(self, steps: Iterator[Any]) -> None:
        self.steps = steps

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> Any:
        return next(self.steps)


class Closing(Body):
    """One that has something to close."""

    def __init__(self, steps: Iterator[Any], close: Callable[[], None]) -> None:
        super().__init__(steps)
        self.close = close


class Blocks(list[Any]):
    """A list of a kind of its own."""


DOES: dict[str, Callable[[Any], object]] = {
    "nothing": lambda environ: None,
    "clears": lambda environ: environ.clear(),
    "forgets the method": lambda environ: environ.pop("REQUEST_METHOD", None),
    "changes the method": lambda environ: environ.update(REQUEST_METHOD="POST"),
    "forgets what was decided": lambda environ: environ.pop("wsgistack.ratelimit", None),
    "puts numbers": lambda environ: environ.update(
        REMOTE_USER=7, REMOTE_ADDR=None, HTTP_REFERER=None, PATH_INFO=None, SERVER_PROTOCOL=None
    ),
    "puts odd texts": lambda environ: environ.update(
        REMOTE_USER="\udcff\0\n",
        REMOTE_ADDR=Text("192.0.2.9"),
        HTTP_REFERER=Text('"\\\x7f'),
        PATH_INFO="/\u20ac",
    ),
    "puts bytes": lambda environ: environ.update(REMOTE_ADDR=b"\xff", HTTP_USER_AGENT=b"a", QUERY_STRING=[1]),
}


class Odd:
    """The application of a plan; notes in *events* what is done to it."""

    def __init__(self, plan: Plan, events: list[Any]) -> None:
        self.plan = plan
        self.events = events
        self.start: Any = None
        self.write: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        plan = self.plan
        self.start = start_response
        DOES[plan.does](environ)
        self.break_at("call")
        if plan.head in ("first", "twice", "again after a block"):
            self.begin()
        if plan.head == "twice":
            self.begin()
        if plan.head == "with exc_info":
            self.begin_anew()
        self.break_at("head")
        if plan.body.startswith("write"):
            for block in plan.blocks:
                self.write(block)
        return self.answer(environ)

    def answer(self, environ: Any) -> Any:
        kind = self.plan.body
        if kind in ("list", "write"):
            return list(self.plan.blocks) if kind == "list" else []
        if kind == "file":
            return environ.get("wsgi.file_wrapper", FileWrapper)(io.BytesIO(b"of a file"))
        makes: dict[str, Callable[[], Any]] = {
            "tuple": lambda: self.plan.blocks,
            "a list of one's own": lambda: Blocks(self.plan.blocks),
            "generator": self.steps,
            "without close": lambda: Body(self.steps()),
            "with close": lambda: Closing(self.steps(), self.close),
            "write and more": lambda: Closing(self.steps(), self.close),
            "None": lambda: None,
            "number": lambda: 7,
            "text": lambda: "text",
        }
        return makes[kind]()

    def steps(self) -> Iterator[Any]:
        if self.plan.head == "late":
            self.begin()
        for number, block in enumerate(self.plan.blocks):
            self.break_at(number)
            yield block
            if number == 0 and self.plan.head == "again after a block":
                self.begin_anew()
            if number == 0 and self.plan.body == "write and more":
                self.write(b"written late")

    def close(self) -> None:
        self.events.append("closed")
        if self.plan.head == "in close":
            self.begin()
        self.break_at("close")

    def begin(self) -> None:
        headers = self.plan.headers
        self.write = self.start(self.plan.status, list(headers) if isinstance(headers, tuple) else headers)

    def begin_anew(self) -> None:
        try:
            raise Broken("found out late")
        except Broken:
            self.write = self.start("503 Late", [("Content-Type", "text/html")], sys.exc_info())

    def break_at(self, moment: str | int) -> None:
        if self.plan.breaks == moment:
            raise self.plan.error(f"at {moment}")


class World:
    """A stack of *module*, its components *settings*, asked again and again; *log*: a file for its access log."""

    def __init__(self, module: ModuleType, log: Path, settings: dict[str, Any] | None = None) -> None:
        self.events: list[Any] = []
        self._log = log
        self._app: Any = None
        log.write_text("")
        config = {**(SETTINGS if settings is None else settings), "access_log": str(log)}
        self.stack = module.wrap(self._call, config)

    def _call(self, environ: Any, start_response: Any) -> Any:
        return self._app(environ, start_response)

    def ask(self, plan: Plan, environ: dict[str, Any], kind: type[Any] = dict) -> list[Any]:
        """Return, in their order, all that a server, the application and the log saw."""
        events: list[Any] = []
        self.events = events
        self._app = Odd(plan, events)
        numbers = count(1)

        def urandom(size: int) -> bytes:
            return next(numbers).to_bytes(size, "big")

        with mock.patch("os.urandom", urandom):
            error = self._serve(plan, kind(environ))
        events.append(("error", None if error is None else isinstance(error, Exception)))
        lines = self._log.read_text()
        self._log.write_text("")
        return [*events, UNTOLD.sub("", lines)]

    def _serve(self, plan: Plan, environ: Any) -> BaseException | None:
        """Do what a server does; return what was raised."""
        events, was_sent = self.events, False

        def write(data: Any) -> None:
            nonlocal was_sent
            was_sent = was_sent or bool(data)
            events.append(("wrote", bytes(data)))

        def start_response(status: Any, headers: Any, exc_info: Any = None) -> Any:
            events.append(("head", status, list(headers), exc_info is not None))
            if plan.server_fails:
                raise BrokenPipeError("the client has left")
            if exc_info is not None and was_sent:
                raise exc_info[1]
            return write

        body: Any = None
        found: BaseException | None = None
        try:
            body = self.stack(environ, start_response)
            for number, block in enumerate(body):
                if number == plan.leaves_after:
                    break
                write(block)
        except BaseException as error:  # noqa: BLE001 - a server lives on, whatever it is
            found = error
        finally:
            try:
                if hasattr(body, "close"):
                    body.close()
            except BaseException as error:  # noqa: BLE001 - the same
                found = error
        return found

    def counts(self) -> dict[str, Any]:
        """Return what was counted of all that was asked."""
        found: dict[str, Any] = {}
        for name, layer in self.stack.layers:
            if name == "metrics":
                found[name] = {
                    key: by for key, by in layer.tally.read().items() if not key.startswith("duration")
                }
            elif name == "metering":
                found[name] = sorted((rule, key, list(row)) for _, rule, key, row in layer.meter.usage())
            elif name == "buckets":
                found[name] = dict(layer.counts)
        return found
