from wsgistack.ratelimit.taking import Taker as Taker
