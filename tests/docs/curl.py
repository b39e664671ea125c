"""As much of curl as the pages use (-s -i -o /dev/null -w FORMAT URL), so that no test needs curl itself."""

import argparse
import http.client
import sys
from urllib.parse import urlsplit

PATIENCE_S = 30.0


def main() -> None:
    """Ask once and print what curl would."""
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-o", choices=["/dev/null"])
    parser.add_argument("-w", default="")
    parser.add_argument("url")
    given = parser.parse_args()
    url = urlsplit(given.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=PATIENCE_S)
    connection.request("GET", url.path or "/", headers={"User-Agent": "curl/8", "Accept": "*/*"})
    response = connection.getresponse()
    body = response.read()
    if given.i:
        print(f"HTTP/1.1 {response.status} {response.reason}")
        print("".join(f"{name}: {value}\n" for name, value in response.getheaders()))
    if given.o is None:
        sys.stdout.write(body.decode())
    sys.stdout.write(given.w.replace("%{http_code}", str(response.status)).replace("\\n", "\n"))


main()
