"""The site of the trials inside of a whole stack: `python -m tools.server_trials`.

The access log and the metering are below SITE_FOLDER; the store is SITE_STORE where it is set.
"""

import os

from tests.servers.plain import LIMIT
from tests.servers.plain import application as plain
from wsgistack import wrap

__all__ = ["application"]

application = wrap(
    plain,
    trust=["127.0.0.0/8"],
    request_id=True,
    access_log=os.environ["SITE_FOLDER"] + "/access.log",
    metrics=True,
    metering=os.environ["SITE_FOLDER"] + "/usage",
    rate_limit={"rules": [{"name": "limited", "rate": f"{LIMIT}/hour", "path": "/limited"}]},
    buckets={"split": "beta 50%", "secret": "that only the trials know"},
    page_cache=True,
    compression=True,
    conditional=True,
    store=os.environ.get("SITE_STORE") or None,
)
