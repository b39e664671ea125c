"""The two small C programs of the benchmarks, compiled when they are first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["MissingCompiler", "build"]

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "bench" / "native"
CACHE = ROOT / ".cache" / "bench"
FLAGS = ("-O2", "-Wall", "-Wextra")
PROGRAMS = {
    "origin": ("origin.c",),
    "load": ("load.c", "client.c"),
}


class MissingCompiler(Exception):
    """There is no C compiler; the message says what to install."""


def build(name: str) -> Path:
    """Return the path of program *name*, compiled now unless its sources are unchanged.

    Two runs at once do not harm each other: each compiles aside and renames.
    """
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    program = CACHE / f"{name}-{_fingerprint()}"
    if program.exists():
        return program
    if not compiler:
        raise MissingCompiler(
            f"bench: {name} is written in C (bench/native) and there is neither gcc nor cc: apt-get install gcc"
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    aside = program.with_suffix(f".{os.getpid()}")
    sources = [str(SOURCES / source) for source in PROGRAMS[name]]
    done = subprocess.run(
        [*compiler.split(), *FLAGS, "-o", str(aside), *sources, "-lm"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise MissingCompiler(f"bench: {compiler} could not compile {name}:\n{done.stderr}")
    aside.replace(program)
    return program


def _fingerprint() -> str:
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for source in sorted(SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
