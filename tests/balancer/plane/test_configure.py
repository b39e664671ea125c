"""From a snapshot to what the plane holds."""

import pytest

from wsgistack.balancer.plane.configure import default_authority


@pytest.mark.parametrize(
    ("listen", "authority"),
    [
        (["127.0.0.1:8080"], "127.0.0.1:8080"),
        (["192.0.2.1:80"], "192.0.2.1"),
        (["[2001:db8::1]:80"], "[2001:db8::1]"),
        (["[2001:db8::1]:8080", "192.0.2.1:80"], "[2001:db8::1]:8080"),
        (["0.0.0.0:8080"], "localhost:8080"),
        (["[::]:80"], "localhost"),
        (["unix:/run/site.sock"], "localhost"),
        (["unix:/run/site.sock", "192.0.2.1:81"], "192.0.2.1:81"),
        ([], "localhost"),
    ],
)
def test_a_request_without_an_authority_gets_the_address_that_the_service_listens_on(
    listen: list[str], authority: str
) -> None:
    assert default_authority(listen) == authority
