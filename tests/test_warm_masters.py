"""A master that asks its application before it forks: its workers find each other all the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT

# The first request is a test client's, which says that there is one process.
MASTER = """
import json, os
from wsgiref.util import setup_testing_defaults
from wsgistack import wrap

def site(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b""]

def ask(path, client, is_one_of_many):
    environ = {"PATH_INFO": path, "REMOTE_ADDR": client}
    setup_testing_defaults(environ)
    environ["wsgi.multiprocess"] = is_one_of_many
    statuses = []
    body = stack(environ, lambda status, fields, exc_info=None: statuses.append(status))
    text = b"".join(body).decode()
    if hasattr(body, "close"):
        body.close()
    return statuses[0][:3], text

stack = wrap(site, rate_limit="10/hour", metrics=True)
ask("/", "10.0.0.1", False)
admitted = 0
for worker in range(2):
    reading, writing = os.pipe()
    if os.fork() == 0:
        met = [ask("/", "10.0.0.2", True)[0] for _ in range(10)]
        page = ask("/metrics", "127.0.0.1", True)[1]
        os.write(writing, json.dumps([met, page]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        met, page = json.load(pipe)
    os.wait()
    admitted += met.count("200")
print(json.dumps([admitted, page]))
"""


def test_workers_of_a_master_that_was_asked_share_limits_and_counts(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", MASTER]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    admitted, page = json.loads(done.stdout)
    assert admitted == 10
    assert 'wsgistack_wsgi_requests_total{method="GET",status="200"} 10.0' in page
    assert 'wsgistack_wsgi_requests_total{method="GET",status="429"} 10.0' in page
