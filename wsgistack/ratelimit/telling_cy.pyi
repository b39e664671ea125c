from wsgistack.ratelimit.telling import Teller as Teller

__all__ = ["Teller"]
