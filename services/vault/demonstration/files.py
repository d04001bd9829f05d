"""What the demonstration writes beside its report: summary.json and storage.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gridledger.demonstration.summary import channel_summary
from gridledger.network.status import NetworkState
from services.vault.demonstration.book import Book, StoredShare


def write_storage(path: Path, stored: Sequence[StoredShare]) -> None:
    """A table with a row for each share on a disk: its bytes, and those of the formula."""
    columns = [field.name for field in fields(StoredShare)]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*columns, "of_data"])
        for each in stored:
            table.writerow([*(getattr(each, name) for name in columns), f"{each.disk / each.data:.6f}"])


def summary_of(book: Book, ready_s: float, state: NetworkState, options: Any) -> dict[str, Any]:
    """The whole file. Speeds in MB/s, sizes in bytes."""
    return {
        "passed": book.is_good,
        "ready_s": round(ready_s, 2),
        "seed": options.seed,
        "periods": options.periods,
        "expectations": [asdict(each) for each in book.expectations],
        "recovery": [asdict(each) for each in book.recoveries],
        "speed_mb_s": {
            each.profile: {"split": round(each.split, 1), "join": round(each.join, 1)} for each in book.speeds
        },
        "collusion": None if book.collusion is None else asdict(book.collusion),
        "ids_tried": [{"id": x, "answer": told} for x, told in book.tried],
        "reads": book.reads,
        "channels": channel_summary(state),
    }
