"""The settings of the whole server: one table for SERVER, help, dumpconfig and the docs."""

from __future__ import annotations

from wsgistack.settings import FLAG, INT, TEXT, Kind, Setting, Table, make_choice

__all__ = ["MOST_WORKERS", "SERVER_SETTINGS"]

MOST_WORKERS = 64

NUMBER = Kind("int", INT.parse, INT.show, "Expected numeric parameter", INT.most)
WORKERS = Kind("int", INT.parse, lambda value: str(value or "the cores"), "Expected numeric parameter")
AIO_MODE = make_choice(lambda: ("none", "ioaio"), "Unknown AIO mode")

SERVER_SETTINGS = Table(
    "server",
    [
        Setting("workers", WORKERS, 0, "processes; fixed at the start", least=1, most=MOST_WORKERS),
        Setting("max_connections", NUMBER, 20000, "client connections of a worker", least=1),
        Setting("aio_mode", AIO_MODE, "none", "accepted for Perlbal's configurations; changes nothing"),
        Setting("max_reproxy_connections", NUMBER, 0, "connections of a reproxied host", available=False),
        Setting("nice_level", NUMBER, 0, "niceness of the processes", available=False),
        Setting("aio_threads", NUMBER, 0, "threads for disk access", available=False),
        Setting("track_obj", FLAG, 0, "count Perl's objects", available=False),
        Setting("pidfile", TEXT, "", "file that holds the process number", available=False),
        Setting("crash_backtrace", FLAG, 0, "print Perl's stack on errors", available=False),
    ],
)
