"""Build the site and the man pages from docs/ into build/docs; run by `make docs`.

A warning of sphinx is an error: a link to nowhere, a page that no index names, a docstring it cannot read.
"""

import subprocess
import sys
from pathlib import Path

__all__ = ["build", "main"]

ROOT = Path(__file__).parent.parent
BUILDERS = ("html", "man")


def build(builder: str, output: Path, *, doctrees: Path) -> subprocess.CompletedProcess[str]:
    """Return sphinx's run by *builder* (`html`, `man`) into *output*; status 0 if nothing was wrong."""
    sphinx = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning"]
    where = ["--builder", builder, "--doctree-dir", str(doctrees), str(ROOT / "docs"), str(output)]
    return subprocess.run([*sphinx, *where], cwd=ROOT, capture_output=True, text=True, check=False)


def main() -> int:
    """Build both, and print what is wrong."""
    for builder in BUILDERS:
        done = build(builder, ROOT / "build" / "docs" / builder, doctrees=ROOT / ".cache" / "docs")
        sys.stderr.write(done.stderr)
        if done.returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
