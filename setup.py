"""Build the compiled modules; all metadata lives in pyproject.toml.

Without a C compiler an install goes through with a warning: the WSGI components work, and
`wsgistack balancer` says what is missing.  The Makefile sets WSGISTACK_COMPILED: `required`, where
a module that does not compile is an error, then `present` for the editable install, which would
compile everything a second time.
"""

import gc
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer

COMPILED = os.environ.get("WSGISTACK_COMPILED", "optional")
PLANE = "wsgistack/balancer/plane"
# What tests alone import: an installed package does without.
FACES = {f"{PLANE}/{name}.pyx" for name in ("exchange_face", "parts", "wire")}
FACE = "\n# -- the face for tests -"  # the same, at the end of a module
# What handles Python objects, on no request's way: -O0 compiles it in a fifth of the time of -O2.
UNHURRIED = FACES | {
    f"{PLANE}/{name}.pyx"
    for name in (
        *("board", "configure", "gate_build", "pages_build", "rows", "simulated", "split_build", "tables"),
    )
}
# What calls Python's own functions all the time: python -m bench.ring and bench.ratelimit see no more of -O2.
CALLING = (
    "wsgistack/ratelimit/",
    "wsgistack/store/memcached/",
    "wsgistack/store/continuum_cy",
    "wsgistack/clock_cy",
)
COMPILE_ARGS = ["-fno-strict-aliasing", "-fno-plt"]
# Who only installs reads neither warnings nor C: both cost gcc time, and symbols make the wheel twice as big.
COMPILE_ARGS += ["-g0", "-w"] if COMPILED == "optional" else ["-g1"]
# The plane turns Python's integers into C's when it is configured, by no request: one call does for it, where
# Cython would write a way of its own for every size of an integer and every type of C.
PLANE_MACROS = [("CYTHON_USE_PYLONG_INTERNALS", "0")]
LEVELS = ("-O2", "-O1", "-O0")
HEADERS = "build/headers/python.h"
CORES = os.cpu_count() or 1
FORK = multiprocessing.get_context("fork")  # of a process without threads
MADE = "build/cython"
# Those that learn_declarations was tried with: it calls what Cython does not document.
KNOWN_CYTHONS = ("3.2.", "3.3.")
# Apart, else `make build` would take for its own what pip left there, with other flags and without the faces.
BASE = "build/package" if COMPILED == "optional" else "build"
TRANSLATION = {
    "build_dir": MADE,
    "c_line_in_traceback": False,
    "compiler_directives": {
        "language_level": 3,
        "boundscheck": False,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "auto_pickle": False,  # nobody pickles them, and it is a seventh of the code
        "binding": False,  # functions need not look like those of Python; this and the next are a fifth
        "emit_code_comments": False,  # of the lines of C
    },
}


def without_face(path: str) -> str:
    """Return *path*, or that of a copy without what the module has for tests alone, at its end."""
    text = Path(path).read_text()
    if FACE not in text:
        return path
    copy = Path("build", "lean", path)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(text.partition(FACE)[0])
    return str(copy)


def optimisation_of(path: str) -> str:
    """Return how hard gcc shall try."""
    if path in UNHURRIED:
        return "-O0"
    return "-O1" if path.startswith(CALLING) else "-O2"


def make_extensions() -> list[Extension]:
    """Return the modules to compile, the largest first: no core waits at the end for another's one large module."""
    paths = set(glob("wsgistack/**/*.pyx", recursive=True))
    if COMPILED == "optional":
        paths -= FACES
    return [
        Extension(
            path.removesuffix(".pyx").replace("/", "."),
            [path],
            define_macros=PLANE_MACROS if path.startswith(PLANE) else [],
            extra_compile_args=[optimisation_of(path), *COMPILE_ARGS],
            optional=COMPILED == "optional",
        )
        for path in sorted(paths, key=os.path.getsize, reverse=True)
    ]


def made_of(source: str) -> Path:
    """Return where Cython puts the C file of *source*."""
    return Path(MADE, source).with_suffix(".c")


def is_untranslated(source: str) -> bool:
    """Return whether *source* has no C file, or one that an older setup.py made."""
    return bool(newer("setup.py", str(made_of(source))))  # also where there is none


def learn_declarations() -> Any:
    """Return a Context of Cython that has read every .pxd file, or None where Cython is not one of KNOWN_CYTHONS.

    A module needs seventeen of them, which is half of what Cython does for it: here they are read once for all.
    A translation leaves its module's own names in the Context, so each needs a process of its own.  Also None
    where a .pxd file is wrong: cythonize says better what is.
    """
    from Cython import __version__

    if not __version__.startswith(KNOWN_CYTHONS):
        return None
    from Cython.Compiler import Errors
    from Cython.Compiler.Main import CompilationOptions, Context

    class Learned(Context):  # type: ignore[misc]  # Cython ships no annotations
        """Takes a file that is asked for, and those which it needs, for read just now."""

        learned: dict[str, Any] = {}  # noqa: RUF012  # replaced, never changed

        def find_module(self, *args: Any, **options: Any) -> Any:
            scope = super().find_module(*args, **options)
            for one in (*scope.cimported_modules, scope):
                if found := self.learned.get(one.qualified_name):
                    self.pxds.setdefault(one.qualified_name, found)
            return scope

    gc.disable()
    Errors.init_thread()
    errors = Errors.hold_errors()
    context = Learned.from_options(CompilationOptions(include_path=["."], **TRANSLATION))
    for path in sorted(glob("wsgistack/**/*.pxd", recursive=True)):
        context.find_module(path.removesuffix(".pxd").replace("/", "."))
    Errors.release_errors(ignore=True)
    context.learned, context.pxds = context.pxds, {}
    return None if errors else context


def translate(context: Any, source: str, name: str) -> None:
    """Make the C file of *source* with what *context* knows, and leave this process."""
    from Cython.Compiler.Main import CompilationOptions, compile_single

    gc.disable()  # all is given back at the end
    made = made_of(source)
    made.parent.mkdir(parents=True, exist_ok=True)
    options = CompilationOptions(include_path=["."], output_file=str(made), **TRANSLATION)
    sys.exit(compile_single(source, options, name, context=context).num_errors > 0)


def collect_seldom() -> None:
    """Let Cython, which makes millions of objects that refer to each other, wait a third less for the collector."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 1000)
    gc.enable()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM: half a file would be taken for the whole the next time."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Build(build_ext):  # type: ignore[misc]  # setuptools ships no annotations
    """Translates and compiles one module after the other, as many at a time as there are cores."""

    extensions: list[Extension]
    context: Any = None

    def build_extensions(self) -> None:
        """Compile all of them: gcc is at work on one core while Cython is on the next."""
        try:
            from Cython.Build import cythonize
        except ImportError:
            sys.exit(
                "wsgistack's data plane is written in Cython, which is not here: pip install 'Cython>=3.1'"
            )
        readers = self.read_headers_once() if COMPILED == "optional" else []
        if COMPILED == "optional":
            for extension in self.extensions:
                extension.sources = [without_face(source) for source in extension.sources]
        if any(is_untranslated(source) for extension in self.extensions for source in extension.sources):
            self.context = learn_declarations()
        for reader in readers:
            reader.wait()
        todo, numbers = os.pipe()
        with os.fdopen(numbers, "wb") as file:
            file.write(b"".join(number.to_bytes(2, "big") for number in range(len(self.extensions))))
        workers = [
            FORK.Process(target=self.build_next, args=[cythonize, todo]) for _ in range(self.parallel or 1)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        os.close(todo)
        if failed := [worker.exitcode for worker in workers if worker.exitcode]:
            sys.exit(f"not everything is compiled: see above (exit status {failed[0]}){self.find_advice()}")

    def find_advice(self) -> str:
        """Return what to install where no compiler is, "" where the one that is meant can be run."""
        program = self.compiler.compiler_so[0]
        if shutil.which(program):
            return ""
        return f"\nthe C compiler '{program}' is not here; on Debian: sudo apt-get install gcc libc6-dev"

    def build_next(self, cythonize: Callable[..., list[Extension]], todo: int) -> None:
        """Compile those whose numbers come from *todo*, in a process of its own, while somebody wants them."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        collect_seldom()
        extensions, self.parallel = self.extensions, None
        parent = multiprocessing.parent_process()
        while parent and parent.is_alive() and (number := os.read(todo, 2)):
            extension = extensions[int.from_bytes(number, "big")]
            self.extensions = [extension]
            try:
                self.translate(cythonize, extension)
                super().build_extensions()
            except Exception as trouble:
                os.read(todo, 2 * len(extensions))  # the others need not go on
                raise SystemExit(f"{extension.name}: {trouble}") from trouble

    def translate(self, cythonize: Callable[..., list[Extension]], extension: Extension) -> None:
        """Let Cython make the C file of *extension*, if a source of it or setup.py changed."""
        (source,) = extension.sources
        with undisturbed():
            if self.context and is_untranslated(source):
                alone = FORK.Process(target=translate, args=[self.context, source, extension.name])
                alone.start()
                alone.join()
                if alone.exitcode:
                    raise ValueError(f"Cython does not translate {source}")
                extension.sources = [str(made_of(source))]
            else:
                (translated,) = cythonize(
                    [extension], force=is_untranslated(source), quiet=True, **TRANSLATION
                )
                extension.sources = translated.sources
        extension.depends = ["setup.py"]  # which says what gcc is told

    def copy_extensions_to_source(self) -> None:
        """Copy what was compiled beside its source, each whole."""
        with undisturbed():
            super().copy_extensions_to_source()

    def read_headers_once(self) -> list[subprocess.Popen[bytes]]:
        """Let gcc keep what it knows after Python.h, which is a third of its work on a small module.

        Return the processes that see to it.  gcc takes from HEADERS.gch what was made with the same options; where
        nothing fits, it reads HEADERS itself.
        """
        kept = Path(f"{HEADERS}.gch")
        kept.mkdir(parents=True, exist_ok=True)
        Path(HEADERS).write_text('#define PY_SSIZE_T_CLEAN\n#include "Python.h"\n#include "frameobject.h"\n')
        command = [*self.compiler.compiler_so, *(f"-I{folder}" for folder in self.compiler.include_dirs)]
        readers = []
        for level in LEVELS:
            made = ["-x", "c-header", HEADERS, "-o", str(kept / level), *COMPILE_ARGS, level]
            with suppress(OSError):  # no compiler at all, which is said later
                readers.append(subprocess.Popen([*command, *made], stderr=subprocess.DEVNULL))
        for extension in self.extensions:
            extension.extra_compile_args += ["-include", HEADERS]
        return readers


if __name__ == "__main__":
    setup(
        ext_modules=[] if COMPILED == "present" else make_extensions(),
        cmdclass={"build_ext": Build},
        options={"build_ext": {"parallel": CORES}, "build": {"build_base": BASE}},
    )
