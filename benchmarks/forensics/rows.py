"""``python -m benchmarks.forensics rows``: bytes that a PMU's value takes in a Parquet file of a minute, and the time
that a light node's processor spends on file and root.

The rows are made up: a slow walk of frequency, magnitudes and angles with the noise that a meter of 0.1 % and one of
0.01 % show. Noise is what does not compress, so both are told. The file is the light node's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.forensics.tables import rows_table
from benchmarks.relay.results import Results
from gridledger.demonstration.running import run_to_end
from gridledger.evidence.rows import TIME, Value, row_text, rows_root
from services.lightnode.batches import parquet_of

RATE: Final = 50
ROWS: Final = 60 * RATE
PHASORS: Final = ("va", "vb", "vc", "ia", "ib")
VALUES: Final = ("frequency", "rocof", *(f"{phasor}_{part}" for phasor in PHASORS for part in ("mag", "ang")))
"""Twelve values a frame."""
COLUMNS: Final = (TIME, "stat", *VALUES)
NOISES: Final = {"0.1 %": 1e-3, "0.01 %": 1e-4}
_FREQUENCY_NOISE: Final = 0.5
"""Hz of the standard deviation of a frequency's reading, times the noise of a magnitude: 0.5 mHz at 0.1 %."""
_MINUTES: Final = 10
_BEGIN_US: Final = 1_700_000_000_000_000


def minute(number: int, noise: float) -> list[tuple[Value, ...]]:
    """The rows of one minute; ``noise`` is the standard deviation of a magnitude as a share of it."""
    random = np.random.default_rng(number)
    slow = 50 + np.cumsum(random.normal(0, 2e-4, ROWS))
    turned = np.cumsum(slow - 50) * 2 * np.pi / RATE
    frequency = slow + random.normal(0, _FREQUENCY_NOISE * noise, ROWS)
    values = [frequency, np.gradient(frequency) * RATE]
    for place, phasor in enumerate(PHASORS):
        rated = 190_500.0 if phasor.startswith("v") else 400.0
        values.append(rated * (1 + random.normal(0, noise, ROWS)))
        values.append((turned - place * 2.0944 + random.normal(0, noise, ROWS) + np.pi) % (2 * np.pi) - np.pi)
    singles = np.array(values, dtype=np.float32).T.tolist()
    begin_us = _BEGIN_US + number * 60_000_000
    return [(begin_us + at * (1_000_000 // RATE), 0, *row) for at, row in enumerate(singles)]


async def measure() -> dict[str, Any]:
    """Both noises."""
    found = []
    for name, noise in NOISES.items():
        minutes = [minute(number, noise) for number in range(_MINUTES)]
        began = time.process_time()
        files = [parquet_of(COLUMNS, rows) for rows in minutes]
        for file, rows in zip(files, minutes, strict=True):
            sha256(file).digest()
            rows_root([row_text(COLUMNS, row) for row in rows])
        took_s = (time.process_time() - began) / _MINUTES
        size = sum(map(len, files)) / _MINUTES
        found.append(
            {
                "noise": name,
                "bytes_per_minute": round(size),
                "bytes_per_value": round(size / ROWS / len(VALUES), 3),
                "ms_per_minute": round(1000 * took_s, 1),
            }
        )
    return {"values": len(VALUES), "rate": RATE, "rows": found}


async def run(options: argparse.Namespace) -> int:
    """Measure, or take what is stored for this commit."""
    results = Results(options.out / "rows.json", anew=options.anew)
    found = await results.of({"minutes": _MINUTES, "columns": COLUMNS}, measure)
    results.write_table(rows_table(found))
    return 0


def main(argv: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forensics rows", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/forensics-bench"), help="where results go")
    parser.add_argument("--anew", action="store_true", help="measure again what is stored")
    options = parser.parse_args(argv)
    return run_to_end(run(options))
