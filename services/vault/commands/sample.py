"""``gridledger vault sample``: monitoring data to try the vault with."""

from __future__ import annotations

import argparse
from pathlib import Path

from gridledger.cli.output import say
from gridledger.files import write_atomically
from services.vault.commands.options import new_parser
from services.vault.monitoring import CLUSTERS, cluster_records, table_records, to_csv, to_json

_TABLE = "table1"
_MOST = 100_000


def main(argv: list[str]) -> int:
    """Write a file of made-up records; the exit code."""
    parser = new_parser(
        "sample",
        "Write monitoring data of a substation, made up from a seed: a cluster's sensors (M1 to M5), minute by minute, "
        "or the sensors of the acquisition layer (table1).",
        ("sample M4 -o m4.csv", "sample table1 -o substation.json --periods 60 --seed 7"),
    )
    parser.add_argument("what", metavar="CLUSTER", choices=(*CLUSTERS, _TABLE), help="M1 to M5, or table1")
    parser.add_argument("-o", dest="out", required=True, type=Path, metavar="FILE", help="a .csv or .json file")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed gives the same file (default: 1)"
    )
    parser.add_argument("--periods", type=_periods, default=60, metavar="N", help="so many minutes (default: 60)")
    options = parser.parse_args(argv)
    if options.what == _TABLE:
        records = table_records(options.periods, seed=options.seed)
    else:
        records = cluster_records(options.what, options.periods, seed=options.seed)
    form = to_json if options.out.suffix == ".json" else to_csv
    data = form(records)
    write_atomically(options.out, data)
    say(f"{options.out} has {len(records)} records, {len(data)} bytes")
    return 0


def _periods(text: str) -> int:
    value = int(text)
    if not 1 <= value <= _MOST:
        raise argparse.ArgumentTypeError(f"from 1 to {_MOST}")
    return value
