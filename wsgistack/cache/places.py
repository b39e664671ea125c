"""Where the pages of requests lie, remembered: the same URLs are asked for all the time.

What leads from an environ to a place (hosts, paths, parameters, a hash) takes as long as the rest of a
look at a page in memory.
"""

from __future__ import annotations

from wsgistack.cache.found import Place
from wsgistack.cache.keys import Names, find_target
from wsgistack.cache.vary import Selecting
from wsgistack.wsgi import EnvironRequest

__all__ = ["Places"]

MOST_PLACES = 2048
LONGEST = 512  # characters of all that is looked at: what is longer is not remembered


class Places:
    """Places of requests to *hosts*, None for all, without the parameters *ignored*; see keys.find_target."""

    __slots__ = ("_hosts", "_ignored", "_known")

    def __init__(self, hosts: Names | None, ignored: Names) -> None:
        self._hosts, self._ignored = hosts, ignored
        self._known: dict[tuple[object, ...], Place] = {}

    def find(self, request: EnvironRequest, dimensions: Selecting) -> Place | str:
        """Return the place of *request*, or why it has none, a word of keys.REFUSALS."""
        get = request.environ.get
        asked = (  # all that `find_target` reads
            get("HTTP_HOST"),
            get("PATH_INFO"),
            get("QUERY_STRING"),
            get("RAW_URI"),
            get("REQUEST_URI"),
            get("SCRIPT_NAME"),
            get("wsgi.url_scheme"),
            get("SERVER_NAME"),
            get("SERVER_PORT"),
            dimensions,
        )
        place = self._known.get(asked)
        if place is None:
            target = find_target(request, hosts=self._hosts, ignored=self._ignored)
            if isinstance(target, str):
                return target
            place = Place(target, dimensions)
            if sum([len(text) for text in asked[:-1] if isinstance(text, str)]) <= LONGEST:
                self._learn(asked, place)
        return place

    def _learn(self, asked: tuple[object, ...], place: Place) -> None:
        if len(self._known) >= MOST_PLACES:  # what is asked for comes from clients
            self._known.clear()
        self._known[asked] = place
