"""uptime, version, proc, SERVER, verbose, shutdown, quit, dumpconfig: the balancer itself."""

from __future__ import annotations

import wsgistack
from wsgistack.balancer.blueprint import draw
from wsgistack.balancer.dump import dump
from wsgistack.balancer.language.command import Command, Desk
from wsgistack.balancer.language.grammar import Line
from wsgistack.balancer.language.replies import Lines, Ok, Quit, Reply, Shutdown
from wsgistack.balancer.server_settings import FIXED, OUTLIVES_UPGRADES, SERVER_SETTINGS
from wsgistack.errors import CommandError
from wsgistack.registry import find_nearest

__all__ = ["COMMANDS"]


def uptime(desk: Desk, line: Line) -> Reply:
    """Tell when we started, how long ago, and which version we are."""
    line.take_nothing()
    started_at = desk.estate.started_at
    return Lines(
        (
            f"starttime {int(started_at)}",
            f"uptime {max(0, int(desk.now - started_at))}",
            f"version {wsgistack.__version__}",
        )
    )


def proc(desk: Desk, line: Line) -> Reply:
    """Tell what the processes used, and how much of it since anybody last asked."""
    line.take_nothing()
    now, last = desk.estate.stats.proc(), desk.estate.last_proc
    desk.estate.last_proc = now
    return Lines(
        (
            f"time: {int(desk.now)}",
            f"pid: {now['pid']}",
            f"utime: {_seconds(now['utime'])} (+{_seconds(now['utime'] - last['utime'])})",
            f"stime: {_seconds(now['stime'])} (+{_seconds(now['stime'] - last['stime'])})",
            f"reqs: {now['reqs']} (+{now['reqs'] - last['reqs']})",
        )
    )


def _seconds(value: float) -> str:
    return f"{round(max(value, 0.0), 6):.12g}"


def server(desk: Desk, line: Line) -> Reply:
    """Set a parameter of the whole server."""
    found = line.match(r"([^\s=]+) ?= ?(.+)")
    key, text = found[1].lower(), found[2]
    if key not in SERVER_SETTINGS:
        names = [row.name for row in SERVER_SETTINGS]
        raise CommandError(f"unknown server option '{key}'", met=found[1], nearest=find_nearest(key, names))
    value = SERVER_SETTINGS.parse(key, text)
    if key in FIXED and desk.session.source != "file" and value != desk.estate.server[key]:
        how = "start again" if key in OUTLIVES_UPGRADES else "upgrade or start again"
        raise CommandError(f"{key} is fixed at the start: change it in the file, and {how}")
    if key == "access_log" and value != desk.estate.server[key]:
        _check_log(desk, str(value))
    if key == "usage_folder" and value:
        _check_folder(desk, str(value))
    if SERVER_SETTINGS.get(key).available:
        desk.estate.server[key] = value
    return Ok()


def _check_log(desk: Desk, path: str) -> None:
    """Refuse a log that the workers could not open, before it is what runs, and what `save` would write."""
    if path in ("off", "-"):
        return
    try:
        desk.estate.files.check_log(path)
    except OSError as error:
        raise CommandError(f"access_log = {path}: {error.strerror}") from None


def _check_folder(desk: Desk, path: str) -> None:
    """Refuse a folder in which the workers could count nothing."""
    try:
        desk.estate.files.check_folder(path)
    except OSError as error:
        raise CommandError(f"usage_folder = {path}: {error.strerror}") from None


def verbose(desk: Desk, line: Line) -> Reply:
    """Say OK from now on, or no longer."""
    desk.session.verbose = line.match("(on|off)", "usage: VERBOSE {on|off}")[1].lower() == "on"
    return Ok()


def shutdown(desk: Desk, line: Line) -> Reply:
    """Stop: at once, or when what runs is done."""
    found = line.match(r"(graceful)? ?([0-9]{1,6})?")
    return Shutdown(graceful=found[1] is not None, after_s=float(found[2]) if found[2] else None)


def auth(desk: Desk, line: Line) -> Reply:
    """Say OK: where a token is needed the port has taken this line itself (admin/lines.py)."""
    line.match(r"\S+")
    if desk.session.source == "file":
        raise CommandError("this command has no place in a file")
    return Ok()


def quit_(desk: Desk, line: Line) -> Reply:
    """Close this connection."""
    line.take_nothing()
    return Quit()


def dumpconfig(desk: Desk, line: Line) -> Reply:
    """Print the configuration as commands that bring it back."""
    line.take_nothing()
    return Lines(tuple(dump(draw(desk.estate))), end="OK")


COMMANDS = (
    Command(
        "uptime",
        "uptime",
        "when it started, for how many seconds it runs, version",
        uptime,
        example="uptime",
        reads=True,
    ),
    Command("version", "version", "the same as uptime", uptime, example="version", reads=True),
    Command(
        "proc",
        "proc",
        "processor time and requests, and their growth since the last proc",
        proc,
        example="proc",
        reads=True,
    ),
    Command(
        "server",
        "SERVER <param> = <value>",
        "set a parameter of the whole server",
        server,
        example="SERVER max_connections = 10000",
        reads=False,
    ),
    Command("verbose", "VERBOSE {on|off}", "whether OK is said", verbose, example="VERBOSE off", reads=True),
    Command(
        "shutdown",
        "SHUTDOWN [graceful] [<seconds>]",
        "stop at once; graceful: when what runs is done",
        shutdown,
        example="SHUTDOWN graceful 30",
        reads=False,
    ),
    Command(
        "auth",
        "auth <token>",
        "show the token of this port; the first line, where one is needed",
        auth,
        example="auth 3f0c4b8e9d1a7265",
        reads=True,
    ),
    Command("quit", "quit", "close this connection", quit_, example="quit", reads=True),
    Command("exit", "exit", "close this connection", quit_, example="exit", reads=True),
    Command(
        "dumpconfig",
        "dumpconfig",
        "the configuration as commands; ends in OK",
        dumpconfig,
        example="dumpconfig",
        reads=True,
    ),
)
