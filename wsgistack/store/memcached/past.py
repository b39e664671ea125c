"""Which nodes may hold what a key was before the nodes of the ring changed; pure.

A node that no longer keeps a key still holds what it was, and so does one that left.  Nobody reads
that while another node keeps the key; but when that one fails or leaves, the next to be asked is
often the one that kept the key before.
"""

from __future__ import annotations

from typing import NamedTuple

from wsgistack.store.ring import Ring

__all__ = ["Past"]

MOST_RINGS = 32  # what was kept under older ones is no longer known


class Past(NamedTuple):
    """The rings before the one of now, the latest first, with the names of their nodes.

    *copies*: how many nodes keep a key.
    """

    copies: int = 1
    rings: tuple[tuple[Ring, tuple[str, ...]], ...] = ()

    def then(self, ring: Ring, names: tuple[str, ...]) -> Past:
        """Return what the past is once *ring* is over.

        Of a ring that came again and again its first and its last time say all that the others do.
        """
        before = [number for number, (one, _) in enumerate(self.rings) if one.members == ring.members]
        others = [one for number, one in enumerate(self.rings) if number not in before[:-1]]
        return self._replace(rings=((ring, names), *others)[:MOST_RINGS])

    def may_hold(self, key: bytes, name: str, *, keeps: bool) -> bool:
        """Return whether the node *name* kept *key* once, and then did not.  *keeps*: it does now."""
        was_interrupted = not keeps
        for ring, names in self.rings:
            if self.copies == 1:
                kept = names[ring.place(key)] == name
            else:
                kept = any(names[place] == name for place in ring.places(key, self.copies))
            if kept and was_interrupted:
                return True
            was_interrupted = was_interrupted or not kept
        return False
