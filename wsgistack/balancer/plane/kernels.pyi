from collections.abc import Callable

from wsgistack.balancer.algorithms import Candidates

KERNELS: dict[str, int]

def run(kernel: str, nodes: Candidates, state: int, draw: Callable[[int], int]) -> tuple[int, int]: ...
