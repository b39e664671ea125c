"""Build the compiled modules; all metadata lives in pyproject.toml.

Without a C compiler an install goes through with a warning: the WSGI components work, and
`wsgistack balancer` says what is missing.  The Makefile sets WSGISTACK_COMPILED: `required`, where
a module that does not compile is an error, then `present` for the editable install, which would
compile everything a second time.
"""

import os
import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize
except ImportError:
    sys.exit("wsgistack's data plane is written in Cython, which is not here: pip install 'Cython>=3.1'")

# What only describes the package, or packs its sources: nothing has to be translated for it.
DESCRIBING = {"sdist", "egg_info", "dist_info"}
COMPILED = os.environ.get("WSGISTACK_COMPILED", "optional")
PLANE = "wsgistack/balancer/plane"
# What tests alone import: an installed package does without.
FACES = {f"{PLANE}/{name}.pyx" for name in ("exchange_face", "parts", "wire")}
FACE = "\n# -- the face for tests -"  # the same, at the end of a module
# What handles Python objects, on no request's way: -O1 compiles it in two thirds of the time of -O2.
UNHURRIED = FACES | {
    f"{PLANE}/{name}.pyx"
    for name in (
        *("board", "configure", "gate_build", "pages_build", "plane", "rows", "simulated", "split_build"),
        "tables",
    )
}
COMPILE_ARGS = ["-fno-strict-aliasing", "-fno-plt"]
# Who only installs reads neither warnings nor C: both cost gcc time, and symbols make the wheel twice as big.
COMPILE_ARGS += ["-g0", "-w"] if COMPILED == "optional" else ["-g1"]
# The plane turns Python's integers into C's when it is configured, by no request: one call does for it, where
# Cython would write a way of its own for every size of an integer and every type of C.
PLANE_MACROS = [("CYTHON_USE_PYLONG_INTERNALS", "0")]
CORES = os.cpu_count() or 1
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "auto_pickle": False,  # nobody pickles them, and it is a seventh of the code
    "binding": False,  # functions need not look like those of Python; this and the next are a fifth
    "emit_code_comments": False,  # of the lines of C
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


def make_extensions() -> list[Extension]:
    """Return the compiled modules, their C files made by as many processes as there are cores."""
    paths = set(glob("wsgistack/**/*.pyx", recursive=True))
    if COMPILED == "optional":
        paths -= FACES
    extensions = cythonize(
        [
            Extension(
                path.removesuffix(".pyx").replace("/", "."),
                [without_face(path) if COMPILED == "optional" else path],
                depends=glob(f"{PLANE}/*.h"),
                define_macros=PLANE_MACROS if path.startswith(PLANE) else [],
                extra_compile_args=["-O1" if path in UNHURRIED else "-O2", *COMPILE_ARGS],
            )
            for path in sorted(paths)
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
        c_line_in_traceback=False,
        nthreads=CORES,
    )
    for extension in extensions:
        # On the result: cythonize() drops `optional` from its arguments.
        extension.optional = COMPILED == "optional"
    # The largest first: no core waits at the end for another's one large module.
    return sorted(extensions, key=lambda extension: -os.path.getsize(extension.sources[0]))


if __name__ == "__main__":  # cythonize()'s processes import this file again where fork is not the default
    is_described = bool(DESCRIBING & set(sys.argv[1:2]))
    setup(
        ext_modules=[] if COMPILED == "present" or is_described else make_extensions(),
        options={"build_ext": {"parallel": CORES}},
    )
