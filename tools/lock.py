"""Pin requirements/*.in into *.txt, with hashes, for every supported Python; run by `make lock`.

dev is pinned first and bounds the others, so that a package has one version in all four.
The files name no index: whoever installs brings their own.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = [sys.executable, "-m", "uv", "pip", "compile", "--upgrade", "--quiet"]
FOR = ["--universal", "--python-version=3.11"]
FORM = ["--generate-hashes", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
HEADER = ["--custom-compile-command=make lock"]


def lock(name: str, bounds: str | None) -> None:
    """Write requirements/*name*.txt from *name*.in, no version differing from the file *bounds*."""
    extra = ["--constraints", bounds] if bounds else []
    command = [*UV, *FOR, *FORM, *HEADER, *extra]
    subprocess.run([*command, f"{name}.in", "-o", f"{name}.txt"], cwd=ROOT / "requirements", check=True)
    print(f"-- requirements/{name}.txt")


if __name__ == "__main__":
    lock("dev", None)
    lock("demo", "dev.txt")
    lock("docs", "dev.txt")
    lock("build", "dev.txt")
