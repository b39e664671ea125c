"""Build the plane with the address and undefined-behaviour sanitizers and run its tests under them.

    make sanitize             the wire, the exchange, the simulation, the edge, the replies of memcached, stacks
    make sanitize ARGS='...'  other arguments for pytest

Everything happens in a copy of the tree below .cache/sanitize, so that the ordinary build stays.
The first report ends the run: what follows memory that is wrong says nothing.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["copy_tree", "main", "make_environment"]

ROOT = Path(__file__).parent.parent
COPY = ROOT / ".cache" / "sanitize"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
LIBRARIES = ("libasan.so", "libubsan.so")
TESTS = [
    "tests/balancer/plane",
    "tests/balancer/test_throttle.py",
    "tests/contracts/test_limit_kernels.py",
    "tests/simulation",
]
# The readers of what memcached answers.  Not its channels: greenlets copy their stacks, which the address
# sanitizer takes for an underflow unless all is compiled with `--param asan-stack=0`.
TESTS += [f"tests/store/memcached/test_{name}.py" for name in ("replies", "talks", "batches", "storing")]
# What is compiled of a stack, with applications that keep to no rule.
TESTS += [
    f"tests/test_{name}.py"
    for name in ("account", "chore", "clock", "line", "lot", "passage", "passage_marks")
]
TESTS += [f"tests/cache/test_{name}.py" for name in ("shortcut", "passing", "unkept")]
TESTS += [f"tests/ratelimit/test_{name}.py" for name in ("taking", "telling")]
TESTS += [
    "tests/contracts/test_components.py",
    "tests/contracts/test_twins.py",
    "tests/store/shm/test_store.py",
]
# A balancer of its own processes, hostile clients and nodes: a worker that reports something is a worker that died.
TESTS += ["tests/live/test_edge.py"]
SEEDS = "15"  # of each simulated story; it runs about ten times as slowly as without sanitizers


def copy_tree(source: Path, target: Path) -> int:
    """Make *target* hold the tracked and new files of *source*, and what was built there before.

    A file whose bytes are the same is left alone and one that changed gets the time of its copy, so that just
    what changed is compiled again, also after an older version was checked out.  Return the files' number.
    """
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=source, check=True, capture_output=True, text=True).stdout
    wanted = {name for name in names.split("\0") if name and (source / name).is_file()}
    for old in [path for path in target.rglob("*") if path.suffix in (".py", ".pyx", ".pxd", ".pyi")]:
        if str(old.relative_to(target)) not in wanted and "build" not in old.relative_to(target).parts:
            old.unlink()
    for name in wanted:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if not (target / name).is_file() or not filecmp.cmp(source / name, target / name, shallow=False):
            shutil.copy(source / name, target / name)
    return len(wanted)


def make_environment(libraries: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Return the variables of a run: the sanitizers first in the process, and Python's own pools off.

    The interpreter frees little of what it makes at its end, so leaks are not looked for here;
    tests/live/test_hostile.py watches the size of real workers instead.
    """
    return environment | {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "WSGISTACK_SEEDS": environment.get("WSGISTACK_SEEDS", SEEDS),
    }


def find_libraries(compiler: str) -> list[str]:
    """Return the paths of the sanitizers' libraries, or leave with what is missing."""
    found = []
    for name in LIBRARIES:
        path = subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        if path == name:
            sys.exit(f"{compiler} has no {name}: on Debian it comes with gcc (libgcc-12-dev)")
        found.append(path)
    return found


def build(compiler: str) -> None:
    """Compile the copy in place; what did not change since the last time stays."""
    flags = subprocess.run(
        [sys.executable, "-m", "tools.headers"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {
        "CC": compiler,
        "CFLAGS": f"{flags} {FLAGS}",
        "LDFLAGS": FLAGS,
        "WSGISTACK_COMPILED": "required",
    }
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--parallel", "2"],
        cwd=COPY, check=True, env=environment,
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Copy, build, run; return pytest's exit status."""
    compiler = os.environ.get("CC", "gcc")
    libraries = find_libraries(compiler)
    print(f"-- {copy_tree(ROOT, COPY)} files copied to {COPY.relative_to(ROOT)}", flush=True)
    print(f"-- compiled with {FLAGS}", flush=True)
    build(compiler)
    # A report ends the process; in a file of pytest's, which captures descriptors otherwise, nobody would read it.
    how = ["-q", "-n", "0", "--capture=sys", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *how, *(arguments or TESTS)]
    environment = make_environment(libraries, dict(os.environ))
    print(f"-- tests, {environment['WSGISTACK_SEEDS']} seeds", flush=True)
    status = subprocess.run(command, cwd=COPY, check=False, env=environment).returncode
    print("-- no report of a sanitizer" if status == 0 else f"-- pytest ended with {status}, see above")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
