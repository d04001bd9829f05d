"""``gridledger relay check-fault``: a COMTRADE record beside what servers have stated of it."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say, say_json
from gridledger.command_line import EXIT_FAILED, one_line
from gridledger.extras import require_extra
from services.relay.commands.options import add_reading, new_parser
from services.relay.commands.reaching import items_up_to, opened, relay_named

MOST: Final = 100_000
"""Records of one relay that are looked through."""


def main(argv: list[str]) -> int:
    """Tell who has stated the record as it is; exit code 1 where nobody has."""
    parser = new_parser(
        "check-fault",
        "Compare a COMTRADE fault record with the ledger: whether servers have stated this very file, and what else "
        "the ledger has of the same trigger.",
        ("check-fault record.cff", "check-fault record.cfg --relay Rele_1 --json"),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a .cff, or a .cfg with its .dat beside it")
    add_reading(parser)
    options = parser.parse_args(argv)
    require_extra("relay", "gridledger relay check-fault")
    from services.relay.readers.comtrade import read_fault_record  # noqa: PLC0415 - of an extra

    record = read_fault_record(options.file).to_dict()
    relay, items = asyncio.run(_read(options))
    answer = {"relay": relay, **judged(record, items)}
    if options.as_json:
        say_json(answer)
    else:
        _tell(options.file, answer)
    return 0 if answer["stated"] else EXIT_FAILED


async def _read(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        items, more = await items_up_to(lambda mark: ledger.get_faults(relay, bookmark=mark), MOST)
    if more:
        note(f"note: the relay has more than {MOST} fault records; only the first were looked through")
    return relay, items


def judged(record: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    """A record beside the ledger's. ``stated``: whether most of those who state this hash state these very members;
    ``servers``: who; ``same_trigger``: records of another hash with the same station, device and trigger time."""
    named = {name: value for name, value in record.items() if name != "sha256"}
    found = next((item for item in items if item["sha256"] == record["sha256"]), None)
    statements = [] if found is None else [found, *found["others"]]
    alike = [item for item in statements if all(item[name] == value for name, value in named.items())]
    trigger = ("station", "device", "trigger_time")
    same = [
        {"sha256": item["sha256"], "servers": item["servers"]}
        for item in items
        if item["sha256"] != record["sha256"] and all(item[name] == record[name] for name in trigger)
    ]
    return {
        "record": record,
        "stated": found is not None and found in alike,
        "servers": alike[0]["servers"] if alike else [],
        "other_statements": [item["servers"] for item in statements if item not in alike],
        "same_trigger": same,
    }


def _tell(file: Path, answer: dict[str, Any]) -> None:
    record = answer["record"]
    say(one_line(f"{file}: {record['station']}, {record['device']}, triggered {record['trigger_time']}"))
    say(f"sha256 {record['sha256']}")
    if answer["servers"]:
        say(f"stated as it is by {', '.join(answer['servers'])}")
    else:
        say(f"nobody has stated this file for {answer['relay']}")
    for servers in answer["other_statements"]:
        say(f"another statement of the same hash by {', '.join(servers)}")
    for item in answer["same_trigger"]:
        say(f"of the same trigger the ledger has {item['sha256']}, stated by {', '.join(item['servers'])}")
