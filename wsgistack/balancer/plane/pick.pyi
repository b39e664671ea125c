from collections.abc import Callable, Sequence

KERNELS: dict[str, int]

def run(
    kernel: str, loads_in: Sequence[int], weights_in: Sequence[int], state: int, draw: Callable[[int], int]
) -> tuple[int, int]: ...
