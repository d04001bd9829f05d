"""``gridledger relay faults``: the fault records that servers have stated."""

from __future__ import annotations

from gridledger.client.application import Answer
from services.relay.commands.listing import list_items
from services.relay.commands.options import new_parser

_HASH_SHOWN = 12


def main(argv: list[str]) -> int:
    """List fault records."""
    parser = new_parser(
        "faults",
        "List the fault records (COMTRADE) that servers have stated: hash, station, trigger time, and who has each.",
        ("faults", "faults --relay Rele_1 --json"),
    )
    return list_items(
        parser,
        argv,
        lambda ledger, relay, bookmark: ledger.get_faults(relay, bookmark=bookmark),
        ("trigger time", "station", "device", "samples", "stated by", "sha256"),
        _row,
    )


def _row(item: Answer) -> tuple[object, ...]:
    servers = ", ".join(map(str, item["servers"]))
    shown = item["sha256"][:_HASH_SHOWN]
    return item["trigger_time"], item["station"], item["device"], item["samples"], servers, shown
