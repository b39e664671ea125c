"""Print the C flags with which Python.h is found; run by `make build`.

Nothing to print where Python's headers are installed.  Debian keeps them in a package of their
own (python3-dev), which is unpacked below .cache/ when it is missing.
"""

import sys
import sysconfig
from pathlib import Path

from tools import debian

__all__ = ["main"]


def main() -> None:
    """Print the flags, or leave with the one command to type."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if Path(sysconfig.get_path("include"), "Python.h").exists():
        return
    try:
        tree = debian.unpack([f"lib{version}-dev"])
    except debian.Unavailable as trouble:
        sys.exit(f"Python.h is missing ({trouble}); on Debian: sudo apt-get install {version}-dev")
    include = tree / "usr" / "include"
    print(f"-I{include / version} -I{include}")


if __name__ == "__main__":
    main()
