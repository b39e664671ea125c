from wsgistack.clock import SteadyClock as SteadyClock

__all__ = ["SteadyClock"]
