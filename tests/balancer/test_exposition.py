"""The metrics as text, read back by prometheus_client's own parsers."""

from dataclasses import replace

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from tests.balancer.pictures import make_node_row, make_picture
from wsgistack.balancer.exposition import render
from wsgistack.balancer.metrics import METRICS

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
KINDS = {"info": "gauge"}  # what Prometheus' own format makes of them


def test_every_metric_is_there_with_its_help_and_its_type() -> None:
    text, content_type = render(make_picture(), "text/plain")
    assert content_type.startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in parser.text_string_to_metric_families(text.decode())}
    for metric in METRICS:
        name = f"wsgistack_{metric.name}{'_info' if metric.kind == 'info' else ''}"
        assert found[name].type == KINDS.get(metric.kind, metric.kind), name
        assert found[name].documentation == metric.help
        assert found[name].samples or metric.name == "node_requests", name


def test_open_metrics_are_written_for_whoever_accepts_them() -> None:
    text, content_type = render(make_picture(), f"{OPEN},text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = openmetrics.text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]  # theirs
    found = {family.name: family.type for family in families}
    assert found == {f"wsgistack_{metric.name}": metric.kind for metric in METRICS}


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/html", "application/openmetrics-text; version=x; escaping=y", "\xff;;,=", "," * 1000],
)
def test_no_accept_field_harms_it(accept: str) -> None:
    text, _ = render(make_picture(), accept)
    assert b"wsgistack_snapshot_version" in text


def test_a_path_with_quotes_is_a_label_all_the_same() -> None:
    picture = make_picture('pool mypool add unix:/run/"odd\\name".sock')
    picture = replace(picture, nodes={**picture.nodes, 'unix:/run/"odd\\name".sock': make_node_row()})
    text, _ = render(picture, "")
    families = {family.name: family for family in parser.text_string_to_metric_families(text.decode())}
    nodes = {sample.labels["node"] for sample in families["wsgistack_node_handed"].samples}
    assert 'unix:/run/"odd\\name".sock' in nodes
