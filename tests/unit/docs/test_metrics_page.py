"""docs/metrics.md is what the code says."""

from __future__ import annotations

from docs.make_metrics import PAGE, page


def test_the_page_is_what_is_generated() -> None:
    assert PAGE.read_text() == page(), "run make reference"


def test_the_page_has_what_a_peers_parts_have_counted() -> None:
    assert "| `gridledger_gateway_ordered_total` | counter | channel |" in page()
