"""Build the compiled data plane; all metadata lives in pyproject.toml.

Without a C compiler an install goes through with a warning: the WSGI components work, and
`wsgistack balancer` says what is missing.  `make build` sets WSGISTACK_COMPILED=required:
there a module that does not compile is an error.
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup

try:
    from Cython.Build import cythonize
except ImportError:
    sys.exit("wsgistack's data plane is written in Cython, which is not here: pip install 'Cython>=3.1'")

PLANE = "wsgistack/balancer/plane"
COMPILE_ARGS = ["-O2", "-g1", "-fno-strict-aliasing", "-fno-plt"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}

extensions = cythonize(
    [
        Extension(
            path.removesuffix(".pyx").replace("/", "."),
            [path],
            depends=glob(f"{PLANE}/*.h"),
            extra_compile_args=COMPILE_ARGS,
        )
        for path in sorted(glob(f"{PLANE}/*.pyx"))
    ],
    compiler_directives=DIRECTIVES,
    build_dir="build/cython",
)
for extension in extensions:
    # On the result: cythonize() drops `optional` from its arguments.
    extension.optional = os.environ.get("WSGISTACK_COMPILED") != "required"

setup(ext_modules=extensions)
