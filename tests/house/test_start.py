"""What a start does not import: somebody waits for it, and most of it is only needed later, or never."""

import pkgutil
import subprocess
import sys

import pytest

from tests.house.source import ROOT
from wsgistack import components
from wsgistack.components import COMPONENTS

PAGES = "werkzeug prometheus_client http.server gevent.pywsgi"  # what the admin port's HTTP half needs
ENGINE = "wsgistack.cache.engine wsgistack.cache.middleware wsgistack.ratelimit.middleware"

STARTS = {
    "the version": ("main(['--version'])", f"gevent dataclasses wsgistack.balancer {PAGES}"),
    "the help": ("main(['--help'])", f"gevent socket dataclasses wsgistack.balancer {PAGES}"),
    "a check": ("main(['check', 'demo/demo.conf'])", f"gevent socket ssl {PAGES} {ENGINE}"),
    "a command": ("main(['admin', '127.0.0.1:1', 'nodes'])", f"gevent ssl {PAGES} {ENGINE}"),
    "a stack": (
        "import wsgistack; wsgistack.wrap(print, trust=['127.0.0.1'], request_id=True)",
        f"gevent tomllib wsgistack.components.page_cache wsgistack.components.metering {ENGINE}",
    ),
    "a balancer": ("import wsgistack.balancer.supervisor", f"ssl {PAGES} {ENGINE}"),
}


def imported(program: str) -> set[str]:
    """Return the modules that are there after *program*."""
    text = (
        "import sys\nfrom wsgistack.cli import main\n"
        f"try:\n    {program}\nexcept SystemExit:\n    pass\n"
        "print('modules:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("modules: ")[2].split())


@pytest.mark.parametrize("name", STARTS)
def test_a_start_imports_nothing_that_it_does_not_need(name: str) -> None:
    program, heavy = STARTS[name]
    assert imported(program) & set(heavy.split()) == set()


def test_a_component_is_in_the_file_of_its_name_where_it_is_found_without_the_others() -> None:
    assert COMPONENTS.names() == sorted(one.name for one in pkgutil.iter_modules(components.__path__))


def test_what_is_imported_is_seen() -> None:
    assert imported("import wsgistack.balancer.exposition") >= {"prometheus_client", "wsgistack.cli"}
