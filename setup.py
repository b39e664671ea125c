"""Build the compiled data plane; all metadata lives in pyproject.toml.

`optional` is set on the *result* of cythonize, because cythonize drops it from its
arguments: without a C compiler the install then goes through with a warning, the WSGI
components work, and `wsgistack balancer` says what is missing.
"""

from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

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
        Extension(path[: -len(".pyx")].replace("/", "."), [path], extra_compile_args=COMPILE_ARGS)
        for path in sorted(glob("wsgistack/balancer/plane/*.pyx"))
    ],
    compiler_directives=DIRECTIVES,
    build_dir="build/cython",
)
for extension in extensions:
    extension.optional = True

setup(ext_modules=extensions)
