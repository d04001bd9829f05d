"""Writes docs/metrics.md from the services' metrics: ``python -m docs.make_metrics``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gridledger.web import metrics as web
from services.anchor import metrics as anchor
from services.ca import metrics as ca
from services.case.serving import metrics as case_desk
from services.lightnode import metrics as lightnode
from services.orderer import metrics as orderer
from services.peer import metrics as peer
from services.relay import metrics as relay
from services.vault import metrics as vault_holder
from services.vault.base import metrics as vault_base

PAGE = Path(__file__).with_name("metrics.md")
SERVICES: dict[str, ModuleType] = {
    "every service": web,
    "peer": peer,
    "orderer": orderer,
    "ca": ca,
    "anchor": anchor,
    "case-desk": case_desk,
    "lightnode": lightnode,
    "relay": relay,
    "vault-base": vault_base,
    "vault-holder": vault_holder,
}
_KINDS: dict[type[MetricWrapperBase], str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
_BEGIN = """# Metrics

<!-- Made by `make reference` from services/*/metrics.py; change those, not this. -->

Every service answers `GET /metrics` in Prometheus's text form to admins of its organisation, and to whom its setting
`metrics_readers` names ([operations](operations.md#watching-a-network)). Times are in seconds, sizes in bytes. A
histogram has `_bucket`, `_sum` and `_count`. What to watch, and alarms: [operations.md](operations.md).
"""


def page() -> str:
    """The whole page."""
    sections = ["\n".join((f"## {name}", "", *_table(module), "")) for name, module in SERVICES.items()]
    return "\n".join([_BEGIN, *sections])


def _counted_by_a_peers_parts() -> Iterator[str]:
    """The families that a peer makes when it is asked, without any channel."""
    nothing = SimpleNamespace(mismatches=0, bad_endorsements=0, hedges=0)
    collector = peer.GatewayCollector(cast("Any", SimpleNamespace(notifier=(), collector=nothing, queues={})))
    for family in collector.collect():
        labels = "channel" if not family.samples else ""
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def _table(module: ModuleType) -> Iterator[str]:
    yield "| name | kind | labels | what |"
    yield "|---|---|---|---|"
    for metric in vars(module).values():
        kind = _KINDS.get(type(metric))
        if kind is not None:
            (family,) = metric.describe()
            name = f"{family.name}_total" if kind == "counter" else family.name
            labels = ", ".join(metric._labelnames)  # noqa: SLF001 - prometheus_client has no other way to ask
            yield f"| `{name}` | {kind} | {labels} | {family.documentation} |"
    if module is peer:
        yield from _counted_by_a_peers_parts()


if __name__ == "__main__":
    PAGE.write_text(page())
