"""The program `wsgistack`: one sub-command, one function.

Exit status: 0 done, 1 refused or not started, 2 wrong usage or a wrong file, 3 not all of it is
installed.  Imports are made where they are needed, so that `--version` and `admin` are quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from wsgistack.balancer.operations import Sizes

__all__ = ["COMMANDS", "DESCRIPTION", "main", "make_parser"]

DONE, REFUSED, WRONG, INCOMPLETE = 0, 1, 2, 3
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 60.0
LONGEST_FILE_BYTES = 64 * 1024 * 1024

DESCRIPTION = "A load balancer that speaks Perlbal's language, and tools to talk to it."
FILE_HELP = "configuration: a list of admin commands"
NOT_COMPILED = (
    "wsgistack balancer needs its compiled data plane, which is not here: where a C compiler is"
    " (on Debian: sudo apt-get install gcc python3-dev) install wsgistack again,"
    " `pip install --force-reinstall --no-deps PATH` with the path that it came from."
)
NO_GEVENT = "wsgistack balancer needs gevent, which is not here: type `pip install gevent`."


class _Parser(argparse.ArgumentParser):
    """argparse, with the nearest valid word for a misspelt one."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(WRONG, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line *arguments* (default: the process's own) and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = make_parser()
    if not words:
        parser.print_help(sys.stderr)
        return WRONG
    if not words[0].startswith("-") and words[0] not in COMMANDS:
        parser.error(f"unknown command '{words[0]}'{_nearest(words[0], [*COMMANDS, *_options(parser)[1:]])}")
    given, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(given.parser, unknown[0], {*_options(given.parser), "--version"})
    if given.version or given.command is None:
        return _say_version() if given.version else parser.error("a COMMAND is missing")
    try:
        return int(given.run(given))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the program's command line, sub-commands included."""
    parser = _Parser(prog="wsgistack", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    for name, (help_text, fill, run) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        fill(command)
        command.set_defaults(run=run, parser=command)
    return parser


def _say_version() -> int:
    import wsgistack

    print(f"wsgistack {wsgistack.__version__}")
    return DONE


def _refuse(parser: argparse.ArgumentParser, word: str, known: Collection[str]) -> NoReturn:
    if not word.startswith("-"):
        parser.error(f"'{word}' is one argument too many")
    parser.error(f"unknown argument '{word}'{_nearest(word.partition('=')[0], known)}")


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


def _nearest(word: str, words: Collection[str]) -> str:
    from wsgistack.registry import find_nearest

    nearest = find_nearest(word, words)
    return f" (did you mean '{nearest}'?)" if nearest else f" (one of {', '.join(sorted(words))})"


# balancer


def _fill_balancer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="FILE | NODE", help=f"{FILE_HELP}; or nodes after --listen"
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="the same as FILE alone")
    parser.add_argument("--listen", metavar="HOST:PORT", help="balance without a file: the site's address")
    parser.add_argument("--admin", metavar="HOST:PORT", help="with --listen: the admin port's address")
    parser.add_argument("--workers", type=int, metavar="N", help="with --listen: processes (default: cores)")


def run_balancer(given: argparse.Namespace) -> int:
    """Check the configuration, then run until told to end."""
    if missing := _find_missing():
        print(missing, file=sys.stderr)
        return INCOMPLETE
    _fill_standard_descriptors()
    if given.listen is not None:
        path, name = None, "command line"
        text = _write_configuration(given)
    else:
        path = name = _choose_file(given)
        text = _read_file(given.parser, name)
    from wsgistack.balancer import configuration
    from wsgistack.balancer.operations import Sizes
    from wsgistack.balancer.server_settings import MOST_WORKERS

    cores = min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    loaded = configuration.read(text, name, environment=os.environ, workers=cores)
    if _report(loaded.problems):
        return WRONG
    keys = ("workers", "ready_bytes", "limit_keys")
    workers, ready_bytes, limit_keys = (int(str(loaded.snapshot.server[key])) for key in keys)
    keeper = any(service.cache for service in loaded.snapshot.services.values())
    return _serve(text, name, path, Sizes(workers, cores, ready_bytes, limit_keys, keeper))


def _serve(text: str, name: str, path: str | None, sizes: Sizes) -> int:
    from wsgistack.balancer.events import Log, Writer
    from wsgistack.balancer.operations import Source
    from wsgistack.balancer.supervisor import StartError, serve

    writer = Writer(sys.stderr.fileno())
    try:
        return serve(Source(name, text, path), sizes, log=Log(writer))
    except StartError as error:
        writer(f"{error}\nError starting up.")
        return REFUSED
    finally:
        writer.close()


def _fill_standard_descriptors() -> None:
    """Open what is closed of stdin, stdout and stderr: the next file that we open would be taken for it."""
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(spare, True)
    os.close(spare)


def _find_missing() -> str:
    """Return the sentence about what the balancer lacks here, "" if it lacks nothing."""
    from importlib.util import find_spec

    if any(find_spec(f"wsgistack.balancer.plane.{module}") is None for module in ("board", "plane")):
        return NOT_COMPILED
    return "" if find_spec("gevent") else NO_GEVENT


def _choose_file(given: argparse.Namespace) -> str:
    for option in ("admin", "workers"):
        if getattr(given, option) is not None:
            given.parser.error(f"--{option} goes with --listen; in a file it is a command")
    files = [*given.words, *([given.config] if given.config is not None else [])]
    if len(files) != 1:
        given.parser.error("one FILE, or --listen HOST:PORT and the nodes' addresses")
    name = str(files[0])
    if name.rpartition(":")[2].isdigit() and ":" in name and not os.path.exists(name):
        given.parser.error(
            f"'{name}' is no file; a node's address goes with --listen HOST:PORT, the site's own"
        )
    return name


def _write_configuration(given: argparse.Namespace) -> str:
    """Return the commands that --listen and its companions stand for."""
    if given.config is not None:
        given.parser.error("--listen and --config exclude each other")
    if not given.words:
        given.parser.error("--listen needs the address of a NODE, or of several")
    lines = [] if given.workers is None else [f"SERVER workers = {given.workers}"]
    lines += ["CREATE POOL nodes", *(f"POOL nodes ADD {node}" for node in given.words)]
    lines += ["CREATE SERVICE site", "SET role = reverse_proxy", f"SET listen = {given.listen}"]
    lines += ["SET pool = nodes", "ENABLE site"]
    if given.admin is not None:
        lines += [
            "CREATE SERVICE admin",
            "SET role = management",
            f"SET listen = {given.admin}",
            "ENABLE admin",
        ]
    if any("\n" in line for line in lines):
        given.parser.error("an argument holds a line break")
    return "\n".join(lines)


# check


def _fill_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)


def run_check(given: argparse.Namespace) -> int:
    """Say every error of a configuration file, or that there is none."""
    from wsgistack.balancer import configuration

    text = _read_file(given.parser, given.file)
    if _report(configuration.load(text, given.file, environment=os.environ)):
        return WRONG
    print(f"{given.file}: no errors")
    return DONE


def _read_file(parser: argparse.ArgumentParser, name: str) -> str:
    try:
        with open(name, encoding="utf-8") as file:
            return file.read(LONGEST_FILE_BYTES)
    except OSError as error:
        parser.exit(WRONG, f"Error opening config file ({name}): {error.strerror}\n")
    except UnicodeDecodeError as error:
        parser.exit(WRONG, f"Error reading config file ({name}): not UTF-8 at byte {error.start}\n")


def _report(problems: Sequence[object]) -> bool:
    """Print problems on stderr; tell whether one of them is an error and not just a warning."""
    for problem in problems:
        print(problem, file=sys.stderr)
    return any(getattr(problem, "severity", "error") == "error" for problem in problems)


# admin


def _fill_admin(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [-h] [--token-file FILE] HOST:PORT COMMAND ..."  # argparse leaves the word out
    parser.add_argument("--token-file", metavar="FILE", help="file with the port's token, for you alone")
    parser.add_argument("address", metavar="HOST:PORT", help="where the admin port is; or unix:/path")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command to send")


def run_admin(given: argparse.Namespace) -> int:
    """Send one command and print the reply; status 1 if that is an error."""
    from wsgistack.balancer.sockets import connect
    from wsgistack.errors import AddressError

    line = " ".join(given.words)
    if not line or "\n" in line:
        given.parser.error("one COMMAND, such as: show pool mypool")
    token = _read_token(given.token_file) if given.token_file is not None else None
    if token == "":
        return REFUSED
    try:
        sock = connect(given.address, timeout_s=CONNECT_TIMEOUT_S)
    except AddressError as error:
        given.parser.error(f"{error}; the admin port's HOST:PORT comes before the command")
    except OSError as error:
        print(f"{given.address}: {error.strerror or error}", file=sys.stderr)
        return REFUSED
    with sock:
        sock.settimeout(REPLY_TIMEOUT_S)
        try:
            replies = sock.makefile("r", encoding="utf-8", newline="\r\n")
            if token is not None:
                sock.sendall(f"auth {token}\r\n".encode())
                if (reply := replies.readline()) != "OK\r\n":
                    print(reply.rstrip("\r\n"))
                    return REFUSED
            sock.sendall(f"{line}\r\nquit\r\n".encode())
            return _print_reply(replies)
        except OSError as error:
            print(f"{given.address}: {error.strerror or error}", file=sys.stderr)
            return REFUSED


def _read_token(path: str) -> str:
    """Return the token in a file, "" after saying why it cannot be trusted."""
    from wsgistack.balancer.admin.tokens import TokenFileError, read_token

    try:
        return read_token(path)
    except TokenFileError as error:
        print(error, file=sys.stderr)
        return ""


def _print_reply(lines: Iterable[str]) -> int:
    last = ""
    for line in lines:
        last = line.rstrip("\r\n")
        print(last)
    return REFUSED if last.startswith("ERROR") else DONE


Fill = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[str, Fill, Run]] = {
    "balancer": ("run the balancer in the foreground", _fill_balancer, run_balancer),
    "check": ("check a configuration file", _fill_check, run_check),
    "admin": ("send one command to a running balancer", _fill_admin, run_admin),
}
