"""Whether DNS can be spoken: with the package dnspython, which the extra `wsgistack[dns]` brings along.

Without it host names lead where /etc/hosts and the system say; what only DNS knows is refused when
it is said.
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["NEED_DNS", "has_dns"]

NEED_DNS = "need the package dnspython: pip install 'wsgistack[dns]'"  # how a refusal ends
# Looked for once: it takes 0.4 ms, and a nodefile may have thousands of lines that need it.
INSTALLED = find_spec("dns") is not None


def has_dns() -> bool:
    """Tell whether the package was there when this process began; it is not loaded for that."""
    return INSTALLED
