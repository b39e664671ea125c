"""The settings tables of service, pool and server against what the plane and Perlbal know."""

import re
from pathlib import Path

import pytest

from wsgistack.balancer.pool_settings import POOL_SETTINGS
from wsgistack.balancer.server_settings import SERVER_SETTINGS
from wsgistack.balancer.service_settings import SERVICE_SETTINGS
from wsgistack.settings import Setting, Table

# spec: every service parameter of Perlbal 1.80 but role, listen and pool, and one of its git.
PERLBAL = [
    "plugins",
    "persist_client",
    "persist_backend",
    "verify_backend",
    "verify_backend_path",
    "backend_persist_cache",
    "max_backend_uses",
    "connect_ahead",
    "buffer_size",
    "buffer_size_reproxy_url",
    "buffer_backend_connect",
    "buffer_uploads",
    "buffer_uploads_path",
    "buffer_upload_threshold_size",
    "buffer_upload_threshold_time",
    "buffer_upload_threshold_rate",
    "max_chunked_request_size",
    "queue_relief_size",
    "queue_relief_chance",
    "high_priority_cookie",
    "high_priority_cookie_contents",
    "enable_error_retries",
    "error_retry_schedule",
    "enable_reproxy",
    "reproxy_cache_maxsize",
    "trusted_upstream_proxies",
    "always_trusted",
    "blind_proxy",
    "upload_status_listeners",
    "server_process",
    "idle_timeout",
    "persist_client_idle_timeout",
    "persist_client_timeout",
    "client_sndbuf_size",
    "server_tokens",
    "enable_ssl",
    "ssl_key_file",
    "ssl_cert_file",
    "ssl_cipher_list",
    "ssl_ca_path",
    "ssl_verify_mode",
    "ssl_honor_cipher_order",
    "latency",
    "default_service",
    "docroot",
    "index_files",
    "dirindexing",
    "enable_put",
    "enable_delete",
    "enable_md5",
    "max_put_size",
    "min_put_directory",
    "enable_concatenate_get",
]

ROWS = [(table, row) for table in (SERVICE_SETTINGS, POOL_SETTINGS, SERVER_SETTINGS) for row in table]
EACH = pytest.mark.parametrize(("table", "row"), ROWS, ids=[row.name for _, row in ROWS])


@pytest.mark.parametrize("name", PERLBAL)
def test_every_parameter_of_perlbal_is_known(name: str) -> None:
    assert name in SERVICE_SETTINGS


def test_the_plane_gets_every_setting_that_it_reads() -> None:
    text = (Path(__file__).parents[2] / "wsgistack/balancer/plane/configure.pyx").read_text()
    read = set(re.findall(r'settings\["(\w+)"\]', text))
    assert read and read <= set(SERVICE_SETTINGS.defaults()) | set(POOL_SETTINGS.defaults())


@EACH
def test_a_default_can_be_set(table: Table, row: Setting) -> None:
    if (row.default == "" and not row.available) or row.name == "workers":
        return  # there is nothing to write; the number of workers depends on the machine
    assert table.parse(row.name, row.kind.show(row.default)) == row.default


@EACH
def test_a_setting_is_explained_in_a_line(table: Table, row: Setting) -> None:
    assert 0 < len(row.help) < 100
    assert row.help[-1] != "."


@EACH
def test_an_alias_names_settings_that_are_there_for_its_role(table: Table, row: Setting) -> None:
    assert all(table.get(name).role in ("*", row.role) and table.get(name).available for name in row.sets)
