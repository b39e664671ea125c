"""The tests of tests/servers under Apache with mod_wsgi; run by `make conformance-servers`.

Outside of `make test`, because Debian's mod_wsgi takes Debian's version of Python.
"""

import os
import subprocess
import sys

from tools.apache import find_apache

__all__ = ["main"]


def main() -> int:
    """Run them, or say what is missing."""
    try:
        find_apache()
    except FileNotFoundError as trouble:
        print(f"conformance-servers: {trouble}", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "tests/servers", *sys.argv[1:]]
    return subprocess.run(command, env=os.environ | {"WSGISTACK_SERVERS": "mod_wsgi"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
