"""What is to be done at the end of a process is done, also where multiprocessing ends it without atexit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

# As granian's workers: forked by multiprocessing, they load the application themselves.
TAKES_PLACE = """
import json, multiprocessing, sys

def work(url):
    from wsgistack.store.url import make_store
    from wsgistack.tally import Tally

    sys.tally = Tally(make_store(url), monotonic=lambda: 0.0)  # nothing is due before the end
    sys.tally.add({"answered": 7})

if __name__ == "__main__":
    way, when, url = sys.argv[1:]
    if when == "before":
        import wsgistack.tally
    process = multiprocessing.get_context(way).Process(target=work, args=(url,))
    process.start()
    process.join()
    from wsgistack.store.url import make_store
    from wsgistack.tally import Tally

    print(json.dumps([process.exitcode, Tally(make_store(url)).read()]))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_process_of_multiprocessing_brings_its_counts_once_at_its_end(
    way: str, when: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(TAKES_PLACE)
    name = f"wsgistack-test-endings-{os.getpid()}-{way}-{when}"
    # From 3.12 on a fork beside threads warns.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(tmp_path / "program.py"), way, when]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [*command, f"shm:///{name}?size=4m"], env=environ, capture_output=True, text=True, check=True
        )
    finally:
        Path("/dev/shm", f"wsgistack-{name}").unlink(missing_ok=True)
    assert json.loads(done.stdout) == [0, {"answered": 7}]
