"""A file with mistakes in all components: each is told, those of a component together."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgistack.errors import ConfigurationError
from wsgistack.stack import wrap

FILE = """
[wsgistack]
store = "memry://"
access_log = {format = "jsn"}
request_id = "maybe"
frobnicate = true

[wsgistack.trust]
trusted = ["10.0.0.0/8", "10.0.0.300", "unix"]
forwarded = "x-forwarded"

[wsgistack.metrics]
path = "metrics"
allow = "everybody"

[wsgistack.metering]
keep = "5m"
max_keys = 0

[wsgistack.buckets]
split = "beta 50%, gamma 60%"
secret = "short"

[wsgistack.compression]
level = 11
types = ["text"]
codings = "gzip, brr"

[wsgistack.conditional]
most_bytes = "1 gb"

[wsgistack.page_cache]
profile = "anon"
keep = "soon"
purge_from = "10.0.0.0/8 x"
rules = [{path = "news", ttl = "1 fortnight"}, {pth = "/"}]

[wsgistack.rate_limit]
rate = "100/minte"
key = "ipp"
ipv4_prefix = 33
rules = [{name = "login", rate = "5/minute", key = "envron:X", path = "login"}, {nme = "x", rate = "1/s"}]
"""

TOLD = """
store: store 'memry' is not one of memcached, memory, shm, tiered (did you mean 'memory'?)
access_log: Unknown format 'jsn' (did you mean 'json'?)
request_id: Expecting boolean value for parameter 'accept', on or off, not 'maybe'
component 'frobnicate' is not one of access_log, buckets, compression, conditional, metering, metrics, page_cache, rate_limit, request_id, trust
trust: forwarded: 'x-forwarded' is not a field that proxies set (did you mean 'forwarded'?)
trust: trusted: '10.0.0.300' is not a network such as 10.0.0.0/8 or 2001:db8::/32
metrics: allow: 'everybody' is not a network such as 10.0.0.0/8 or 2001:db8::/32
metrics: path: 'metrics' does not begin with /
metering: max_keys: 0 is below 1
metering: keep: 300 seconds; the shortest is an hour
compression: level: 11 is above 9
compression: codings: 'brr' is not one of br, deflate, gzip, zstd (did you mean 'br'?)
compression: types: 'text' is not a media type such as text/html or text/*
conditional: Expecting size unit value for parameter 'most_bytes' in bytes, or suffixed with 'K' or 'M', not '1 gb'
page_cache: profile: 'anon' is no profile (did you mean 'anonymous'?)
page_cache: Expecting duration value for parameter 'keep', such as 5, 5s, 200ms, 2m or 1h, not 'soon'
page_cache: purge_from: 'x' is not a network such as 10.0.0.0/8 or 2001:db8::/32
page_cache: rules: 'news': path: 'news' does not begin with '/' or '*'
page_cache: rules: 'news': ttl: '1 fortnight' is not a number of seconds from 0 to a year
page_cache: rules: '*': 'pth' is not one of path, action, host, ttl, grace, tags (did you mean 'path'?)
rate_limit: key: 'ipp' is not one of ip, everybody, network, header:NAME, environ:NAME (did you mean 'ip'?)
rate_limit: ipv4_prefix: 33 is above 32
rate_limit: '100/minte', column 5: met 'minte', expected a unit of time such as 'minute' (did you mean 'minute'?)
rate_limit: rules: rule login: key: 'envron:X' is not one of ip, everybody, network, header:NAME, environ:NAME (did you mean 'environ'?)
rate_limit: rules: rule login: path: 'login' does not begin with '/' or '*'
rate_limit: rules: rule 2: 'nme' is not one of name, rate, path, methods, host, key, cost, charge, tier, tiers, status, count_refused, ban, dry_run, tell, exempt (did you mean 'name'?)
buckets: split 'beta': its buckets take 110 %, more than all
buckets: secret: 5 characters; it takes 16 that nobody can guess
"""


def test_a_file_with_a_mistake_in_every_component_is_told_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "stack.toml"
    path.write_text(FILE)
    with pytest.raises(ConfigurationError) as caught:
        wrap(lambda environ, start_response: [], path)
    told = TOLD.strip().splitlines()
    assert str(caught.value).splitlines() == [f"wrap: {len(told)} errors", *(f"  {one}" for one in told)]
