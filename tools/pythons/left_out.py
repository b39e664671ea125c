"""Which tests cannot run in a WebAssembly, and why: left_out.txt, a reason and a test, module or folder per line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIST", "REASONS", "LeftOut", "extend", "guess_reason"]

LIST = Path(__file__).with_name("left_out.txt")
# Each reason, with what a test says that runs into it.  The first that fits is named.
REASONS: dict[str, tuple[str, ...]] = {
    "gevent": ("No module named 'gevent", "No module named 'greenlet"),
    "threads": ("can't start new thread", "thread.start_new_thread"),
    "processes": (
        "_posixsubprocess",
        "does not support processes",
        "memcached is missing",
        "_multiprocessing",
        "attribute 'fork'",
        "attribute 'pidfd_open'",
        "attribute 'register_at_fork'",
        "attribute 'sched_",
    ),
    "compiled": ("not in wasm: wsgistack",),
    "sockets": (
        "Errno 138",
        "Host is unreachable",
        "Protocol not available",
        "attribute 'AF_",
        "attribute 'SO_",
        "not in wasm: ssl",
    ),
    "signals": ("attribute 'SIGUSR", "attribute 'pthread_", "attribute 'setitimer'"),
    "clocks": ("attribute 'thread_time'",),
    "files": (
        "/dev/zero",
        "Errno 44",
        "Errno 52",
        "Function not implemented",
        "attribute 'geteuid'",
        "attribute 'link'",
        "attribute 'mkfifo'",
        "get_inheritable",
        "memfd_create",
        "posix_fallocate",
    ),
    "packages": ("not in wasm: ",),
    "slow": (),  # seconds elsewhere, minutes here
    "wasm": (),  # another difference of this platform, and of no version
}


@dataclass(frozen=True)
class LeftOut:
    """The list; *rows*: what is left out, with its reason."""

    rows: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> LeftOut:
        """Read lines of a reason and a name; an empty line or one with # says nothing."""
        rows = {}
        for number, line in enumerate(text.splitlines(), 1):
            if line and not line.startswith("#"):
                reason, _, name = line.partition(" ")
                if reason not in REASONS or not name:
                    raise ValueError(
                        f"line {number}: met {line!r}, expected one of {', '.join(REASONS)}, and a test"
                    )
                rows[name] = reason
        return cls(rows)

    def reason_of(self, name: str) -> str | None:
        """Return why the test, module or folder *name* is left out: as itself, or with what it belongs to."""
        for end in range(len(name), 0, -1):
            if (end == len(name) or name[end] in "[:/") and name[:end] in self.rows:
                return self.rows[name[:end]]
        return None


def guess_reason(words: str) -> str | None:
    """Return what a WebAssembly lacks that a failed test's *words* speak of."""
    return next((reason for reason, marks in REASONS.items() if any(mark in words for mark in marks)), None)


def extend(text: str, failed: dict[str, str], passed: set[str]) -> str:
    """Return the list *text* with those of the *failed* tests that speak of what a WebAssembly lacks.

    Of a test with parameters its name alone, where none of them passed.
    """
    listed = LeftOut.parse(text)
    lively = {name.partition("[")[0] for name in passed}
    lively |= {name.partition("[")[0] for name, words in failed.items() if guess_reason(words) is None}
    rows = dict(listed.rows)
    for name, words in failed.items():
        whole = name.partition("[")[0]
        reason = guess_reason(words)
        if reason and listed.reason_of(name) is None:
            rows[name if whole in lively else whole] = reason
    head = [line for line in text.splitlines() if line.startswith("#")]
    return "\n".join([*head, *(f"{rows[name]} {name}" for name in sorted(rows))]) + "\n"
