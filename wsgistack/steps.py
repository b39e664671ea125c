"""Components around an application that share one frame: one start_response and one body for all of them.

What a step is, and what becomes of a request on its way through them, tells `passage`; this module
picks the compiled one where it could be built.  Alone a step is a WSGI middleware by means of
`Steps((self,))`; a stack runs all steps that follow upon each other by one Steps.  What a client sees
is the same, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsgistack.passage import Instead, Recoding, Step
from wsgistack.wsgi import WSGIApplication

if TYPE_CHECKING:
    from wsgistack.passage import Front, Fused, Passage, Steps
else:
    try:
        from wsgistack.passage_cy import Front, Fused, Passage, Steps
    except ImportError:
        from wsgistack.passage import Front, Fused, Passage, Steps

__all__ = ["Frames", "Front", "Fused", "Instead", "Passage", "Recoding", "Step", "Steps"]


class Frames:
    """Layers that are put around *app*, one after the other: steps that follow upon each other share a frame."""

    def __init__(self, app: WSGIApplication) -> None:
        self._inner = app
        self._steps: list[Any] = []  # around it, the outermost first

    @property
    def outermost(self) -> WSGIApplication:
        """What all of them are together."""
        if len(self._steps) > 1:
            return Fused(self._steps, self._inner)
        return self._steps[0] if self._steps else self._inner

    def put_around(self, layer: Any) -> None:
        """Take *layer*, which was made around `outermost`.  It is a step where its `is_step` says so.

        One that changes responses (`is_shaping`) shares no frame with others inside of it that look at them.
        """
        is_step = getattr(layer, "is_step", False)
        if not is_step or (_is_shaping(layer) and not all(map(_is_shaping, self._steps))):
            self._inner, self._steps = (self.outermost, [layer]) if is_step else (layer, [])
        else:
            self._steps.insert(0, layer)


def _is_shaping(layer: object) -> bool:
    return getattr(layer, "is_shaping", False)
