"""docs/metrics.md says what the table of metrics says."""

from tools.metrics_page import GROUPS, PAGE, render
from wsgistack.balancer.metrics import METRICS


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render(GROUPS), "make docs"


def test_every_metric_is_on_it() -> None:
    assert [metric for metrics in GROUPS.values() for metric in metrics] == METRICS


def test_a_line_has_name_kind_labels_and_meaning() -> None:
    page = render(GROUPS)
    assert (
        "| `wsgistack_node_requests_total` | counter | `pool`, `node`, `code` | responses of a node, complete ones |\n"
        in page
    )
    assert (
        "| `wsgistack_request_duration_seconds_bucket`, `_sum`, `_count` | histogram | `service` | " in page
    )
