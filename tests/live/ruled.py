"""An application whose rules are in the file that the environment names; the body is the process."""

from __future__ import annotations

import os

from tests.live.limited import application as told
from wsgistack.ratelimit import RateLimit

application = RateLimit(told, rules_file=os.environ["RULES_OF_A_TEST"])
