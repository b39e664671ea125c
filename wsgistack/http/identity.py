"""Names of fields by which a proxy tells the next hop who is asking, and which way they came.

Applications believe them, so those of a client that is not trusted go no further, at either edge.
X-Forwarded-For, -Host, -Proto and Forwarded are written by the edges themselves; NAMES are the others
that somebody believes: Django, gunicorn, waitress, Werkzeug's ProxyFix, and what CDNs and older
proxies set.
"""

from __future__ import annotations

from wsgistack.memos import remember

__all__ = ["NAMES", "PREFIXES", "tells_identity"]

# RFC 9440 §4 asks for the removal of Client-Cert; X-Original-URL and X-Rewrite-URL replace the path
# in some frameworks, behind the back of whoever decided by the path (Kettle 2018).
NAMES = (
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "fastly-client-ip",
    "forwarded-for",
    "front-end-https",
    "proxy-client-ip",
    "remote-user",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-http-host-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-remote-user",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
)
PREFIXES = ("x-forwarded", "x-ssl-")


@remember(4096, longest=64)
def tells_identity(variable: str) -> bool:
    """Tell whether the environ variable of a field (`HTTP_X_REAL_IP`) is one by which proxies tell who asks.

    >>> tells_identity("HTTP_X_FORWARDED_PREFIX"), tells_identity("HTTP_FORWARDED"), tells_identity("HTTP_HOST")
    (True, True, False)
    """
    name = variable.removeprefix("HTTP_").replace("_", "-").lower()
    return name == "forwarded" or name in NAMES or name.startswith(PREFIXES)
