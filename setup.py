"""Build the compiled modules; all metadata lives in pyproject.toml.

Without a C compiler an install goes through with a warning: the WSGI components work, and
`wsgistack balancer` says what is missing.  The Makefile sets WSGISTACK_COMPILED: `required`, where
a module that does not compile is an error, then `present` for the editable install, which would
compile everything a second time.
"""

import os
import sys
from glob import glob

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
# What handles Python objects, on no request's way: -O1 compiles it in two thirds of the time of -O2.
UNHURRIED = FACES | {
    f"{PLANE}/{name}.pyx"
    for name in ("board", "configure", "gate_build", "pages_build", "plane", "rows", "simulated", "tables")
}
COMPILE_ARGS = ["-g1", "-fno-strict-aliasing", "-fno-plt"]
CORES = os.cpu_count() or 1
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "auto_pickle": False,  # nobody pickles them, and it is a seventh of the code
}


def make_extensions() -> list[Extension]:
    """Return the compiled modules, their C files made by as many processes as there are cores."""
    paths = set(glob("wsgistack/**/*.pyx", recursive=True))
    if COMPILED == "optional":
        paths -= FACES
    extensions = cythonize(
        [
            Extension(
                path.removesuffix(".pyx").replace("/", "."),
                [path],
                depends=glob(f"{PLANE}/*.h"),
                extra_compile_args=["-O1" if path in UNHURRIED else "-O2", *COMPILE_ARGS],
            )
            for path in sorted(paths)
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
        nthreads=CORES,
    )
    for extension in extensions:
        # On the result: cythonize() drops `optional` from its arguments.
        extension.optional = COMPILED == "optional"
    return list(extensions)


if __name__ == "__main__":  # cythonize()'s processes import this file again where fork is not the default
    is_described = bool(DESCRIBING & set(sys.argv[1:2]))
    setup(
        ext_modules=[] if COMPILED == "present" or is_described else make_extensions(),
        options={"build_ext": {"parallel": CORES}},
    )
