"""Which protocol a server speaks: asked once, on the first connection; sans-I/O.

A server "speaks meta" when it repeats the opaque number of a miss, which memcached does since
1.6.10.  Anything else that answers is served by the classic commands.
"""

from __future__ import annotations

__all__ = ["QUESTION", "read_answer"]

QUESTION = b"mg wsgistack:dialect v O1\r\nmn\r\n"


def read_answer(data: bytes) -> str | None:
    """Return "meta" or "classic", or None as long as *data* is not all of the answer.

    >>> read_answer(b"EN O1\\r\\nMN\\r\\n"), read_answer(b"ERROR\\r\\nERROR\\r\\n"), read_answer(b"EN O1\\r")
    ('meta', 'classic', None)
    """
    lines = data.split(b"\r\n")[:-1]
    if lines and lines[-1] == b"MN":
        first = lines[0].split(b" ")
        return "meta" if first[0] in (b"EN", b"VA") and b"O1" in first else "classic"
    refusals = [line for line in lines if b"ERROR" in line]
    return "classic" if len(refusals) >= 2 else None
