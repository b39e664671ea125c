"""The circle of points and its hashes: compiled where that was possible, plain Python elsewhere."""

from __future__ import annotations

try:
    from wsgistack.store.continuum_cy import Continuum
except ImportError:  # installed without a compiler: the same answers, about ten times slower
    from wsgistack.store.continuum import Continuum  # type: ignore[assignment]  # twins

__all__ = ["Continuum"]
