"""`rate_limit`: at most so many requests, from one client or from all; see wsgistack.RateLimit.

    from wsgistack import wrap

    login = {"name": "login", "rate": "5/minute", "path": "/login"}
    application = wrap(application, rate_limit={"rate": "100/minute; 5/second", "rules": [login]})

[Rate limits](../ratelimit.md) has the language of limits, the algorithms and the stores.

- In the response: `RateLimit` and `RateLimit-Policy` (`headers` says in which form, `none` for none); who is
  refused gets 429 with `Retry-After`.
- It costs some 5 µs a request, also where workers share their counts; with a store over memcached one round trip.
- It does not know a visitor with many addresses, nor a request that another server answered, unless both
  count in one store.
"""

from __future__ import annotations

from typing import Any

from wsgistack.components import refuse_text
from wsgistack.ratelimit.fallback import ON_STORE_ERROR
from wsgistack.ratelimit.fields import FORMS
from wsgistack.ratelimit.middleware import RateLimit
from wsgistack.ratelimit.rules_file import parse_key
from wsgistack.settings import BOOL, DURATION, INT, NETWORKS, NUMBER, TEXT, Setting, Table, make_choice
from wsgistack.wsgi import WSGIApplication

__all__ = ["HELP", "MAIN", "NAME", "OBJECTS", "PLACE", "SETTINGS", "make", "read_text"]

NAME = "rate_limit"
PLACE = 40
HELP = "429 for a client that asks too often, before anything else is done for it"
MAIN = "rate"
OBJECTS = ("rules", "key", "store", "now", "page", "problem")
SETTINGS = Table(
    "rate_limit",
    [
        Setting("rate", TEXT, "", "`100/minute; 5/second`, for each client"),
        Setting("rules_file", TEXT, "", "a file with rules, read again when it changes; see ratelimit.md"),
        Setting(
            "store",
            TEXT,
            "",
            "where the counts are shared, as a store's URL; `workers` or `process`; without one the workers"
            " of the server share them",
        ),
        Setting(
            "on_store_error",
            make_choice(lambda: ON_STORE_ERROR, "on_store_error: '{text}' is not known"),
            "local",
            "`local` counts in this process meanwhile, `open` lets pass, `closed` refuses",
        ),
        Setting(
            "store_deadline",
            DURATION,
            0.02,
            "how long a memcached server is waited for, where the store's URL has no `timeout`",
            least=0.001,
            most=60,
        ),
        Setting(
            "processes",
            INT,
            1,
            "how many use the store: while it is in trouble, `local` lets each pass its share only",
            least=1,
            most=100_000,
        ),
        Setting(
            "bans_every",
            DURATION,
            0.0,
            "how often a process asks the store whom operators shut out, from 0.1 seconds on; 0: never",
            least=0,
            most=3600,
        ),
        Setting(
            "headers",
            make_choice(lambda: FORMS, "headers: '{text}' is not a form of the fields"),
            "draft10",
            "how a client is told what is left",
        ),
        Setting(
            "jitter",
            NUMBER,
            0.0,
            "up to which share of itself `Retry-After` is told longer, at random, so that not everybody comes"
            " back at once",
            least=0,
            most=1,
        ),
        Setting(
            "most_waiting",
            INT,
            0,
            "requests of this process that may wait at once for their turn under a rate with `delay`",
            least=0,
            most=100_000,
        ),
        Setting("exempt", NETWORKS, (), "networks that nothing here is about"),
        Setting("allow_file", TEXT, "", "a file with more of them, read again when it changes"),
        Setting("deny_file", TEXT, "", "a file with networks that get 403, read again when it changes"),
        Setting("meter", TEXT, "", "a folder in which requests are counted by rule, key, status and hour"),
        Setting(
            "ipv6_prefix", INT, 64, "leading bits of an IPv6 address that are one client", least=1, most=128
        ),
        Setting(
            "ipv4_prefix", INT, 32, "leading bits of an IPv4 address that are one client", least=1, most=32
        ),
        Setting("page", TEXT, "", "a file with a page of your own for who is refused; see ratelimit.md"),
        Setting("problem", TEXT, "", "the same for programs, as `application/problem+json`"),
        Setting("max_keys", INT, 100_000, "clients that each limit remembers", least=1, most=10**8),
        Setting("dry_run", BOOL, False, "refuse nobody, only count"),
    ],
)


def read_text(name: str, text: str) -> object:
    """Return what a text of a file stands for: of a key, what a file with rules says by it."""
    return parse_key(text) if name == "key" else refuse_text(name, text)


def make(
    app: WSGIApplication, *, rate: str = "", store: Any = "", meter: str = "", **settings: Any
) -> RateLimit:
    """Return the limiter around *app*.

    The client is whom REMOTE_ADDR names: put `trust` outside of it where proxies stand in front.
    """
    return RateLimit(app, rate or None, store=store or None, meter=meter or False, **settings)
