"""What continuum_cy.pyx offers: the same as `continuum`, and the hashes for the tests that compare them."""

from collections.abc import Iterable, Sequence

__all__ = ["Continuum"]

def hash_of(name: str, text: bytes) -> int: ...

class Continuum:
    def __init__(
        self,
        points: Iterable[tuple[int, Sequence[int]]],
        hash_name: str,
        *,
        strictly_after: bool = False,
        last_wins: bool = False,
    ) -> None: ...
    def __len__(self) -> int: ...
    def place(self, key: bytes) -> int: ...
    def places(self, key: bytes, most: int) -> list[int]: ...
    def place_many(self, keys: Iterable[bytes]) -> list[int]: ...
