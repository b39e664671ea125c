"""No request imports: a server may fork in the middle of one, and the child would have half of a module for good."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tools.real_memcached import Memcached

WATCH = """
import sys
from wsgiref.util import setup_testing_defaults
from tests.servers.full import application

def ask(path, **variables):
    environ = {"PATH_INFO": path, "REMOTE_ADDR": "127.0.0.1", **variables}
    setup_testing_defaults(environ)
    statuses = []
    body = application(environ, lambda status, fields, exc_info=None: statuses.append(status))
    b"".join(body)
    body.close()
    return int(statuses[0][:3])

import tests.servers.plain  # Flask imports for its own first request
with tests.servers.plain.application.test_client() as client:
    client.get("/page")

met = []
sys.addaudithook(lambda event, arguments: met.append(arguments[0]) if event == "import" else None)
answers = set()
for many in (True, False):
    common = {"wsgi.multiprocess": many, "HTTP_X_FORWARDED_FOR": f"10.0.0.{many:d}"}
    answers |= {ask("/limited", **common) for _ in range(12)}
    answers |= {ask("/page", **common, **more) for more in (
        {}, {"HTTP_ACCEPT_ENCODING": "gzip, br"}, {"HTTP_COOKIE": "sessionid=1"}, {"REQUEST_METHOD": "PUT"},
        {"HTTP_IF_NONE_MATCH": '"1"', "HTTP_IF_MODIFIED_SINCE": "Thu, 26 Nov 2026 20:00:00 GMT"},
    )}
    answers |= {ask("/metrics", **{"wsgi.multiprocess": many}, HTTP_ACCEPT=accept)
                for accept in ("", "application/openmetrics-text; version=1.0.0")}
print(sorted(answers), met)
"""


@pytest.mark.parametrize(
    "store", ["", "memcached://{}", "tiered://{}"], ids=["shared", "memcached", "tiered"]
)
def test_no_request_to_a_whole_stack_imports_anything(
    store: str, memcached: Memcached, tmp_path: Path
) -> None:
    environ = os.environ | {"SITE_FOLDER": str(tmp_path), "SITE_STORE": store.format(memcached.address)}
    done = subprocess.run(
        [sys.executable, "-c", WATCH], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[200, 429] []\n", "")
