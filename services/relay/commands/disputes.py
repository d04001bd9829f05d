"""``gridledger relay disputes``: captures on which the servers do not agree."""

from __future__ import annotations

from gridledger.field.minutes import minute_text
from services.relay.commands.listing import list_items
from services.relay.commands.options import new_parser


def main(argv: list[str]) -> int:
    """List the open disputes, oldest first."""
    parser = new_parser(
        "disputes",
        "List the captures of which no text has a quorum. 'show MINUTE' has all texts.",
        ("disputes", "disputes --relay Rele_1 --json"),
    )
    return list_items(
        parser,
        argv,
        lambda ledger, relay, bookmark: ledger.get_disputes(relay, bookmark=bookmark),
        ("minute", "for", "against"),
        lambda item: (minute_text(item["minute"]), _names(item["for"]), _names(item["against"])),
    )


def _names(servers: list[str]) -> str:
    return ", ".join(servers) or "none"
