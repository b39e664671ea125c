"""What an import and `wrap` do: no socket, no thread, no process; a server may fork after them as it likes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

# Their own imports may do what they like, before we listen.
WATCH = """
import sys, threading
import tests.servers.plain

met = []

def hear(event, arguments):
    if event.startswith("socket.") or event in ("_thread.start_new_thread", "os.fork", "subprocess.Popen"):
        met.append(event)

sys.addaudithook(hear)
import tests.servers.full
print(met, threading.active_count())
"""


# Not with `discover`: the endpoints tell the nodes of which the ring is made.
@pytest.mark.parametrize("store", ["", "memcached://127.0.0.1:1,127.0.0.2:1", "tiered://127.0.0.1:1"])
def test_a_whole_stack_opens_no_socket_and_starts_no_thread_at_import(store: str, tmp_path: Path) -> None:
    environ = os.environ | {"SITE_FOLDER": str(tmp_path), "SITE_STORE": store}
    done = subprocess.run(
        [sys.executable, "-c", WATCH], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[] 1\n", "")
