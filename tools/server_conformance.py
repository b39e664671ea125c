"""The tests of tests/servers under Apache with mod_wsgi, then the trials; run by `make conformance-servers`.

Outside of `make test`, because Debian's mod_wsgi takes Debian's version of Python, and the trials take minutes.
`make conformance-servers ARGS='--servers granian'` runs some trials alone (tools/server_trials.py).
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from tools import server_trials
from tools.apache import find_apache

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Run both, and say what is missing; with *arguments* these trials alone."""
    if arguments:
        return server_trials.main(arguments)
    failed = test_apache()
    return server_trials.main([]) or failed


def test_apache() -> int:
    """Run the tests under mod_wsgi, or say what is missing; 0 if they passed."""
    try:
        find_apache()
    except FileNotFoundError as trouble:
        print(f"conformance-servers: {trouble}", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/servers/test_servers.py"]
    return subprocess.run(command, env=os.environ | {"WSGISTACK_SERVERS": "mod_wsgi"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
