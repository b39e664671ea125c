from wsgistack.cache.shortcut import Shortcut as Shortcut
