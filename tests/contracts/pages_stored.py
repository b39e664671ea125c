"""Stories of a page cache: what is stored, how long it lives, whom it fits."""

from tests.contracts.pages import BEFORE, DATE, LATER, TWO, Answer, Step, Story, cc

__all__ = ["STORIES"]

STORIES = [
    Story(
        "a fresh page is reused until its lifetime is over",
        "RFC 9111 §4.2",
        (
            Step(cc("max-age=60"), has={"Cache-Status": "wsgistack; fwd=uri-miss; ttl=60; stored"}),
            Step(None, wait=59, has={"Age": "59", "Cache-Status": "wsgistack; hit; ttl=1"}),
            Step(TWO, wait=1, body=b"two"),
            Step(None, body=b"two", has={"Age": "0"}),
        ),
    ),
    Story(
        "s-maxage goes before max-age, and that before Expires",
        "RFC 9111 §4.2.1",
        (
            Step(cc("max-age=1, s-maxage=60", Expires=BEFORE, Date=DATE)),
            Step(None, wait=59),
            Step(cc("no-store", b"two"), wait=1, body=b"two"),
        ),
    ),
    Story(
        "Expires counts from Date",
        "RFC 9111 §4.2.1",
        (
            Step(Answer({"Expires": LATER, "Date": DATE})),
            Step(None, wait=59, has={"Expires": LATER, "Date": DATE}),
            Step(TWO, wait=1, body=b"two"),
        ),
    ),
    Story(
        "an Expires that is no date is in the past",
        "RFC 9111 §5.3",
        (Step(Answer({"Expires": "0", "ETag": '"a"'})), Step(TWO, body=b"two")),
    ),
    Story(
        "a page that comes with an age is that much older",
        "RFC 9111 §4.2.3",
        (
            Step(cc("max-age=60", Age="50")),
            Step(None, wait=9, has={"Age": "59"}),
            Step(TWO, wait=1, body=b"two"),
        ),
    ),
    Story(
        "a page without a lifetime is fresh for a tenth of the time since it changed",
        "RFC 9111 §4.2.2",
        (
            Step(Answer({"Last-Modified": BEFORE, "Date": DATE})),
            Step(None, wait=599),
            Step(TWO, wait=1, body=b"two", asked={"If-Modified-Since": BEFORE}),
        ),
    ),
    Story(
        "no-store is not stored",
        "RFC 9111 §5.2.2.5",
        (
            Step(
                cc("max-age=60, no-store"), has={"Cache-Status": "wsgistack; fwd=uri-miss; detail=no-store"}
            ),
            Step(TWO, body=b"two"),
        ),
    ),
    Story(
        "must-understand lets a known status be stored in spite of no-store, and no other",
        "RFC 9111 §5.2.2.3",
        (
            Step(cc("max-age=60, no-store, must-understand")),
            Step(None),
            Step(cc("max-age=60, no-store, must-understand", status=299), path="/o", status=299),
            Step(TWO, path="/o", body=b"two"),
        ),
    ),
    Story(
        "a private page is not shared, in whatever case it is written",
        "RFC 9111 §5.2.2.7, CVE-2026-8404",
        (Step(cc("max-age=60, Private")), Step(TWO, body=b"two")),
    ),
    Story(
        "fields that are private or must be validated are not stored",
        "RFC 9111 §5.2.2.4, §5.2.2.7",
        (
            Step(
                cc('max-age=60, private="X-User", no-cache="X-Token"', X_User="me", X_Token="t", X_Other="o"),
                has={"X-User": "me", "X-Token": "t"},
            ),
            Step(None, has={"X-Other": "o"}, lacks=("X-User", "X-Token")),
        ),
    ),
    Story(
        "fields that end with a hop are not stored",
        "RFC 9111 §3.1",
        (
            Step(cc("max-age=60", Keep_Alive="timeout=5", Proxy_Authenticate="Basic")),
            Step(None, lacks=("Keep-Alive", "Proxy-Authenticate")),
        ),
    ),
    Story(
        "no-cache is stored and validated each time",
        "RFC 9111 §5.2.2.4",
        (
            Step(cc("no-cache", ETag='"a"')),
            Step(
                Answer({"ETag": '"a"'}, b"", 304),
                asked={"If-None-Match": '"a"'},
                has={"Cache-Status": "wsgistack; fwd=stale; fwd-status=304; ttl=0; stored"},
            ),
            Step(TWO, asked={"If-None-Match": '"a"'}, body=b"two"),
        ),
    ),
    Story(
        "a 304 brings new fields and a new life, but no other length or type",
        "RFC 9111 §3.2, §4.3.4",
        (
            Step(
                cc("max-age=1", ETag='"a"', X_A="1", X_B="1", Content_Type="text/plain", Content_Length="3")
            ),
            Step(
                cc("max-age=60", b"", 304, ETag='"a"', X_A="2", Content_Type="x/y", Content_Length="9"),
                wait=2,
                has={"X-A": "2", "X-B": "1", "Content-Type": "text/plain", "Content-Length": "3"},
            ),
            Step(None, wait=59, has={"X-A": "2", "Age": "59"}),
        ),
    ),
    Story(
        "a client that has the page gets 304",
        "RFC 9111 §4.3.2",
        (
            Step(cc("max-age=60", ETag='"a"', Content_Type="text/plain")),
            Step(
                None,
                {"If-None-Match": 'W/"a"'},
                status=304,
                body=b"",
                has={"ETag": '"a"'},
                lacks=("Content-Type",),
            ),
            Step(None, {"If-None-Match": '"b"'}),
            Step(None, {"If-None-Match": "*"}, status=304, body=b""),
            Step(None, {"If-None-Match": '"a"'}, method="HEAD", status=304, body=b""),
        ),
    ),
    Story(
        "If-Match is for the origin to judge",
        "RFC 9111 §4.3.2",
        (
            Step(cc("max-age=60", ETag='"a"')),
            Step(Answer({}, b"no", 412), {"If-Match": '"b"'}, status=412, body=b"no"),
            Step(None),
        ),
    ),
    Story(
        "HEAD is answered by what GET brought, and brings nothing that GET gets",
        "RFC 9110 §9.3.2",
        (
            Step(cc("max-age=60", b"", Content_Length="3"), method="HEAD", body=b""),
            Step(cc("max-age=60", Content_Length="3")),
            Step(None, method="HEAD", body=b"", has={"Content-Length": "3"}),
        ),
    ),
    Story(
        "a HEAD that tells of another page makes the stored one stale",
        "RFC 9111 §4.3.5",
        (
            Step(cc("max-age=1", ETag='"a"')),
            Step(cc("max-age=60", b"", ETag='"b"'), method="HEAD", wait=2, body=b""),
            Step(TWO, body=b"two"),
        ),
    ),
    Story(
        "a HEAD that tells of the same page makes it fresh",
        "RFC 9111 §4.3.5",
        (
            Step(cc("max-age=1", ETag='"a"')),
            Step(cc("max-age=60", b"", ETag='"a"'), method="HEAD", wait=2, body=b""),
            Step(None, wait=50),
        ),
    ),
    Story(
        "variants are kept side by side",
        "RFC 9111 §4.1",
        (
            Step(cc("max-age=60", b"en", Vary="Accept-Language"), {"Accept-Language": "en"}, body=b"en"),
            Step(
                cc("max-age=60", b"de", Vary="Accept-Language"),
                {"Accept-Language": "de"},
                body=b"de",
                has={"Cache-Status": "wsgistack; fwd=vary-miss; ttl=60; stored"},
            ),
            Step(None, {"Accept-Language": "EN"}, body=b"en"),
            Step(None, {"Accept-Language": "de"}, body=b"de"),
            Step(cc("max-age=60", b"none", Vary="Accept-Language"), body=b"none"),
            Step(cc("max-age=60", b"empty", Vary="Accept-Language"), {"Accept-Language": ""}, body=b"empty"),
            Step(None, body=b"none"),
        ),
    ),
    Story(
        "Vary: * fits no request, wherever the star stands",
        "RFC 9111 §4.1, CVE-2026-6907, CVE-2026-48587",
        (
            Step(cc("max-age=60", Vary="Accept, *")),
            Step(cc("max-age=60", b"two", Vary=" *"), body=b"two"),
            Step(TWO, body=b"two"),
        ),
    ),
    Story(
        "what means the same is one variant",
        "RFC 9111 §4.1",
        (
            Step(
                cc("max-age=60", Vary="Accept-Language, X-A"),
                {"Accept-Language": "en, de;q=0.5", "X-A": "1,2"},
            ),
            Step(None, {"Accept-Language": "de;q=0.5,EN", "X-A": "1 , 2"}),
            Step(
                cc("max-age=60", b"two", Vary="Accept-Language, X-A"),
                {"Accept-Language": "de, en;q=0.5", "X-A": "1,2"},
                body=b"two",
            ),
        ),
    ),
    Story(
        "a page for somebody with Authorization is shared only where it says so",
        "RFC 9111 §3.5, CVE-2026-35193",
        (
            Step(cc("max-age=60"), {"Authorization": "me"}),
            Step(TWO, body=b"two"),
            Step(cc("max-age=60, public"), {"Authorization": "me"}, path="/open"),
            Step(None, path="/open"),
        ),
    ),
]
