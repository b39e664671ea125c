"""python -m wsgistack.ratelimit: try limits on real traffic, see what was metered, shut clients out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from wsgistack.errors import ConfigurationError, StoreError
from wsgistack.ratelimit.clients import Trust
from wsgistack.ratelimit.desk import add_commands
from wsgistack.ratelimit.replay import replay, show
from wsgistack.ratelimit.rows import merge, read_folder
from wsgistack.ratelimit.rules import Rule
from wsgistack.ratelimit.usage import FORMATS

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return the exit status: 2 for what cannot be meant or read."""
    options = _parser().parse_args(arguments)
    try:
        text: str = options.run(options)
    except (ConfigurationError, StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.write(text)
    return 0


def _replay(options: argparse.Namespace) -> str:
    rule = Rule(
        "default", options.rates, path=options.path or (), methods=options.methods or (), ban=options.ban
    )
    trust = Trust(ipv6_prefix=options.ipv6_prefix)
    with sys.stdin if options.log == "-" else open(options.log, errors="replace") as lines:
        report = replay(lines, [rule], trust=trust)
    return "\n".join(show(report)) + "\n"


def _usage(options: argparse.Namespace) -> str:
    since = int(time.time()) // 3600 - options.hours + 1
    rows = merge(row for folder in options.folder for row in read_folder(Path(folder), since=since))
    figures = merge(
        row for folder in options.folder for row in read_folder(Path(folder), since=since, kind="limits")
    )
    _, show_rows = FORMATS[options.format]
    return show_rows(rows, figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m wsgistack.ratelimit", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("replay", help="which requests of a log would have been refused")
    command.add_argument("log", metavar="ACCESS.LOG", help="common or combined format; - for standard input")
    command.add_argument("rates", metavar="RATES", help='such as "100/minute; 5/second"')
    command.add_argument("--path", help="globs of the paths that the limits are about")
    command.add_argument("--methods", help="the methods that they are about")
    command.add_argument("--ban", default="", help="such as '10 in 1 hour for 15 minutes'")
    command.add_argument("--ipv6-prefix", type=int, default=64, help="bits of an IPv6 client (64)")
    command.set_defaults(run=_replay)
    command = commands.add_parser("usage", help="what was metered, over all processes")
    command.add_argument("folder", metavar="FOLDER", nargs="+", help="that RateLimit(meter=...) names")
    command.add_argument("--format", choices=list(FORMATS), default="csv")
    command.add_argument("--hours", type=int, default=24, help="how many, this one included (24)")
    command.set_defaults(run=_usage)
    add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
