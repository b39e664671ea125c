from wsgistack.cache.shortcut import Passing as Passing
from wsgistack.cache.shortcut import Shortcut as Shortcut
