"""What whoever may only read is not shown: keys and credentials in commands and on the state page; pure.

An operator sees all of it, because what is dumped has to bring everything back.

>>> hide("  HEADER mysite INSERT Authorization: Basic dTpw")
'  # HEADER mysite INSERT Authorization: (hidden)'
"""

from __future__ import annotations

import re
from dataclasses import replace

from wsgistack.balancer.admin_settings import TOKENS
from wsgistack.balancer.language.replies import Lines, Reply

__all__ = ["HIDDEN", "SECRETS", "hide", "hide_in", "is_secret_field"]

HIDDEN = "(hidden)"
SECRETS = frozenset([*(key for key in TOKENS if not key.endswith("_file")), "sticky_secret", "split_secret"])

# Names that people give to fields which open something: X-Api-Key, X-Auth-Token, X-Shared-Secret, Cookie, ...
FIELD = re.compile(r"(?i)auth|cookie|credential|key|passw|secret|session|signature|token")
SETTING = re.compile(rf"(?i)^(\s*)((?:SET|DEFAULT) (?:\S+\.)?(?:{'|'.join(sorted(SECRETS))}) ?= ?).*")
HEADER = re.compile(r"(?i)^(\s*)(HEADER \S+ INSERT ([^\s:]+): ?).*")


def is_secret_field(name: str) -> bool:
    """Tell whether the value of a field of that name is likely to be a credential."""
    return FIELD.search(name) is not None


def hide(line: str) -> str:
    """Return a command as a comment without its value if that is a secret, else as it is.

    As a comment, so that it sets nothing wrong when somebody replays it.
    """
    if found := SETTING.match(line):
        return f"{found[1]}# {found[2]}{HIDDEN}"
    found = HEADER.match(line)
    if found and is_secret_field(found[3]):
        return f"{found[1]}# {found[2]}{HIDDEN}"
    return line


def hide_in(reply: Reply) -> Reply:
    """Return a reply as whoever may only read gets it."""
    return replace(reply, lines=tuple(map(hide, reply.lines))) if isinstance(reply, Lines) else reply
