"""Stories of a page cache: changes, stale pages, what clients ask for, parts."""

from tests.contracts.pages import BEFORE, GONE, TWO, Answer, Fails, Step, Story, cc

__all__ = ["STORIES"]

STORIES = [
    Story(
        "a change makes the page worthless, and those that it names on the same origin",
        "RFC 9111 §4.4",
        (
            Step(cc("max-age=60")),
            Step(cc("max-age=60"), path="/list"),
            Step(cc("max-age=60"), path="/other"),
            Step(
                Answer({"Location": "/list", "Content-Location": "http://elsewhere/other"}, b"", 303),
                method="POST",
                status=303,
                body=b"",
            ),
            Step(TWO, body=b"two"),
            Step(TWO, path="/list", body=b"two"),
            Step(None, path="/other"),
        ),
    ),
    Story(
        "a change that failed changes nothing",
        "RFC 9111 §4.4",
        (
            Step(cc("max-age=60")),
            Step(Answer({}, b"no", 500), method="DELETE", status=500, body=b"no"),
            Step(None),
        ),
    ),
    Story(
        "a change forgets all variants for good",
        "RFC 9111 §4.4",
        (
            Step(cc("max-age=60", b"en", Vary="X"), {"X": "en"}, body=b"en"),
            Step(Answer({}, b""), method="M-SEARCH", body=b"", wait=1),
            Step(cc("max-age=60", b"de", Vary="X"), {"X": "de"}, body=b"de"),
            Step(cc("max-age=60", b"new", Vary="X"), {"X": "en"}, body=b"new"),
        ),
    ),
    Story(
        "a POST may bring the page that it names",
        "RFC 9110 §9.3.3",
        (
            Step(cc("max-age=60", Content_Location="/page"), method="POST"),
            Step(None),
            Step(cc("max-age=60", b"other", Content_Location="/elsewhere"), method="POST", body=b"other"),
            Step(TWO, body=b"two"),
        ),
    ),
    Story(
        "a stale page is used while it is fetched anew",
        "RFC 5861 §3",
        (
            Step(cc("max-age=1, stale-while-revalidate=60", ETag='"a"')),
            Step(
                cc("max-age=60", b"two", ETag='"b"'),
                wait=30,
                asked={"If-None-Match": '"a"'},
                has={"Cache-Status": "wsgistack; hit; ttl=-29"},
            ),
            Step(None, body=b"two", has={"ETag": '"b"'}),
        ),
    ),
    Story(
        "after that window it is not",
        "RFC 5861 §3",
        (
            Step(cc("max-age=1, stale-while-revalidate=60")),
            Step(TWO, wait=61, body=b"two"),
        ),
    ),
    Story(
        "a stale page stands in for an error where it says so",
        "RFC 5861 §4",
        (
            Step(cc("max-age=1, stale-if-error=60")),
            Step(GONE, wait=2, has={"Cache-Status": "wsgistack; fwd=stale; fwd-status=503; ttl=-1"}),
            Step(GONE, wait=60, status=503, body=b"gone"),
        ),
    ),
    Story(
        "a stale page stands in for an origin that does not answer",
        "RFC 9111 §4.2.4",
        (
            Step(cc("max-age=1")),
            Step(Fails(), wait=2, has={"Cache-Status": "wsgistack; fwd=stale; ttl=-1; detail=origin-failed"}),
        ),
    ),
    *[
        Story(
            f"{directive} forbids any use past the lifetime",
            "RFC 9111 §4.2.4",
            (
                Step(cc(f"max-age=1, {directive}, stale-while-revalidate=60, stale-if-error=60")),
                Step(GONE, wait=2, status=503, body=b"gone"),
            ),
        )
        for directive in ("must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache")
    ],
    Story(
        "a client may ask for a page that is fresher than that",
        "RFC 9111 §5.2.1",
        (
            Step(cc("max-age=60")),
            Step(None, {"Cache-Control": "max-age=10"}, wait=10),
            Step(cc("max-age=60", b"two"), {"Cache-Control": "max-age=10"}, wait=1, body=b"two"),
            Step(cc("max-age=60"), {"Cache-Control": "min-fresh=61"}),
            Step(
                TWO,
                {"Cache-Control": "no-cache"},
                body=b"two",
                has={"Cache-Status": "wsgistack; fwd=request; ttl=60; stored"},
            ),
        ),
    ),
    Story(
        "a client may take a stale page",
        "RFC 9111 §5.2.1.2",
        (
            Step(cc("max-age=1")),
            Step(None, {"Cache-Control": "max-stale"}, wait=100),
            Step(None, {"Cache-Control": "max-stale=99"}),
            Step(TWO, {"Cache-Control": "max-stale=98"}, body=b"two"),
        ),
    ),
    Story(
        "a client may want what is stored or nothing",
        "RFC 9111 §5.2.1.7",
        (
            Step(None, {"Cache-Control": "only-if-cached"}, status=504, body=b""),
            Step(cc("max-age=60")),
            Step(None, {"Cache-Control": "only-if-cached"}),
        ),
    ),
    Story(
        "what a client does not want stored is not",
        "RFC 9111 §5.2.1.5",
        (Step(cc("max-age=60"), {"Cache-Control": "no-store"}), Step(TWO, body=b"two")),
    ),
    Story(
        "ranges are cut out of what is stored",
        "RFC 9110 §14.2",
        (
            Step(cc("max-age=60", b"0123456789", ETag='"a"'), body=b"0123456789"),
            Step(
                None,
                {"Range": "bytes=2-4"},
                status=206,
                body=b"234",
                has={"Content-Range": "bytes 2-4/10", "Content-Length": "3", "ETag": '"a"'},
            ),
            Step(None, {"Range": "bytes=-3"}, status=206, body=b"789"),
            Step(None, {"Range": "bytes=10-"}, status=416, body=b"", has={"Content-Range": "bytes */10"}),
            Step(
                None,
                {"Range": "bytes=0-1,4-5"},  # nearer each other than what would stand between them
                status=206,
                body=b"012345",
                has={"Content-Range": "bytes 0-5/10"},
            ),
            Step(None, {"Range": "bytes=2-4", "If-Range": '"a"'}, status=206, body=b"234"),
            Step(None, {"Range": "bytes=2-4", "If-Range": '"b"'}, body=b"0123456789"),
            Step(None, {"Range": "bytes=2-4"}, method="HEAD", body=b""),
        ),
    ),
    Story(
        "several ranges are parts of one answer",
        "RFC 9110 §15.3.7.2",
        (
            Step(
                cc("max-age=60", b"0123456789" * 40, Content_Type="text/x", ETag='"a"'),
                body=b"0123456789" * 40,
            ),
            Step(
                None,
                {"Range": "bytes=0-1, -6"},
                status=206,
                body=(
                    b"--36c1e1dee303b64073a67f083ba1ab72\r\nContent-Type: text/x\r\nContent-Range: bytes 0-1/400\r\n\r\n01\r\n"
                    b"--36c1e1dee303b64073a67f083ba1ab72\r\nContent-Type: text/x\r\nContent-Range: bytes 394-399/400\r\n\r\n456789\r\n"
                    b"--36c1e1dee303b64073a67f083ba1ab72--\r\n"
                ),
                has={
                    "Content-Type": "multipart/byteranges; boundary=36c1e1dee303b64073a67f083ba1ab72",
                    "Content-Length": "234",
                    "ETag": '"a"',
                },
                lacks=("Content-Range",),
            ),
            Step(None, {"Range": "bytes=0-1, -6", "If-Range": '"b"'}, body=b"0123456789" * 40),
            Step(None, {"Range": "bytes=0-1, 500-, -6"}, method="HEAD", body=b""),
            Step(
                cc("max-age=60", b"0123456789" * 40, Content_Type="text/" + "x" * 100),
                {"Range": "bytes=0-1, -6"},
                path="/long",
                body=b"0123456789" * 40,
            ),
            Step(None, {"Range": "bytes=0-1, -6"}, path="/long", body=b"0123456789" * 40),
            Step(
                None,
                {"Range": "bytes=400-, 500-"},
                status=416,
                has={"Content-Range": "bytes */400"},
                body=b"",
            ),
        ),
    ),
    Story(
        "a part is stored, answers for what it has, and is completed",
        "RFC 9111 §3.3, §3.4",
        (
            Step(
                cc("max-age=60", b"01234", 206, Content_Range="bytes 0-4/10", ETag='"a"'),
                {"Range": "bytes=0-4"},
                status=206,
                body=b"01234",
            ),
            Step(None, {"Range": "bytes=1-2"}, status=206, body=b"12", has={"Content-Range": "bytes 1-2/10"}),
            Step(
                cc("max-age=60", b"56789", 206, Content_Range="bytes 5-9/10", ETag='"a"'),
                asked={"Range": "bytes=5-", "If-Range": '"a"'},
                body=b"0123456789",
                has={"Content-Length": "10"},
                lacks=("Content-Range",),
            ),
            Step(None, body=b"0123456789"),
        ),
    ),
    Story(
        "a part that does not say which part it is, is not stored",
        "RFC 9111 §3.3",
        (
            Step(
                cc("max-age=60", b"01", 206, Content_Range="ananas"),
                {"Range": "bytes=0-1"},
                status=206,
                body=b"01",
            ),
            Step(TWO, {"Range": "bytes=0-1"}, body=b"two"),
        ),
    ),
    Story(
        "a field that is aimed at us stands in the place of Cache-Control and Expires",
        "RFC 9213 §2.2",
        (
            Step(
                cc("no-store", CDN_Cache_Control="max-age=60", Expires="0"), has={"Cache-Control": "no-store"}
            ),
            Step(None, wait=59, has={"CDN-Cache-Control": "max-age=60"}),
            Step(
                cc("max-age=60", Wsgistack_Cache_Control="max-age=1", CDN_Cache_Control="max-age=60"),
                path="/b",
            ),
            Step(TWO, path="/b", wait=1, body=b"two"),
        ),
    ),
    *[
        Story(
            f"an aimed field that is {what} is as if it were not there",
            "RFC 9213 §2.1",
            (Step(cc("no-store", CDN_Cache_Control=value)), Step(TWO, body=b"two")),
        )
        for what, value in (
            ("no dictionary", "max-age=60, &&&&"),
            ("of another type", 'max-age="60"'),
            ("in capitals", "Max-Age=60"),
            ("empty", " "),
        )
    ],
    Story(
        "statuses with a lifetime are stored, a final one that is unknown too",
        "RFC 9111 §3",
        (
            Step(cc("max-age=60", status=404), status=404),
            Step(None, status=404),
            Step(cc("max-age=60", status=299), path="/b", status=299),
            Step(None, path="/b", status=299),
            Step(Answer({"Last-Modified": BEFORE}, status=202), path="/c", status=202),
            Step(TWO, path="/c", body=b"two"),
        ),
    ),
    Story(
        "a query is part of what is asked for",
        "RFC 9111 §2",
        (
            Step(cc("max-age=60"), path="/page?a=1"),
            Step(TWO, path="/page?a=2", body=b"two"),
            Step(None, path="/page?a=1"),
        ),
    ),
    Story(
        "queries that mean the same are answered by one page",
        "draft-ietf-httpbis-no-vary-search-10",
        (
            Step(cc("max-age=60", No_Vary_Search='params=("utm"), key-order'), path="/page?a=1&utm=x&b=2"),
            Step(None, path="/page?b=2&a=1"),
            Step(None, path="/page?b=2&utm=y&a=1"),
            Step(TWO, path="/page?a=2", body=b"two"),
            Step(TWO, path="/other?b=2&a=1", body=b"two"),
            Step(Answer({}, b""), path="/page?a=1&b=2", method="POST", body=b""),
            Step(TWO, path="/page?a=1&utm=x&b=2", body=b"two"),
        ),
    ),
]
