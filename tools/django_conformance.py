"""`make conformance-django`: Django's own cache tests over wsgistack's backend and real memcached servers.

Django's wheel has no tests, so its source archive of the installed version is fetched by pip into
.cache/; where that is not possible it is said, and counts as failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django

from tools.real_memcached import running

__all__ = ["find_source", "main"]

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "django"
MODULE = "tests_memcache_ring"
# What every backend of Django's own has too: its settings, and its client's name for a TypeError.
TESTS = """
from django.test import TestCase, override_settings
from wsgistack.errors import CounterError
from .tests import BaseCacheTests, caches_setting_for_tests, memcached_excluded_caches

BASE = {
    "BACKEND": "wsgistack.contrib.django.MemcacheRingCache",
    "LOCATION": SERVERS,
    "OPTIONS": {"pickle": True},
}

@override_settings(CACHES=caches_setting_for_tests(base=BASE, exclude=memcached_excluded_caches, TIMEOUT=300))
class MemcacheRingTests(BaseCacheTests, TestCase):
    incr_decr_type_error = CounterError
"""


def find_source() -> Path:
    """Return the folder of the source of the installed Django, fetched now if it is not there yet."""
    name = f"django-{django.__version__}"
    if not (CACHE / name).is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
        command = [*pip, "--no-binary", "Django", "--no-build-isolation", "-d", str(CACHE)]
        subprocess.run([*command, f"Django=={django.__version__}"], check=True)
        with tarfile.open(CACHE / f"{name}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return CACHE / name


def main() -> int:
    """Run the tests; return their exit status."""
    try:
        source = find_source()
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"Django's source is not to be had, nothing was compared: {error}", file=sys.stderr)
        return 1
    with running(2) as servers:
        text = TESTS.replace("SERVERS", repr([server.address for server in servers]))
        (source / "tests" / "cache" / f"{MODULE}.py").write_text(text)
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{source}"}
        command = [sys.executable, "runtests.py", f"cache.{MODULE}", "--settings=test_sqlite", "--parallel=1"]
        return subprocess.run(command, cwd=source / "tests", env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
