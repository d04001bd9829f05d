"""``python -m benchmarks.forensics rows``: bytes that a PMU's value takes in a Parquet file of a minute.

The rows are made up: a slow walk of frequency, magnitudes and angles with the noise that a meter of 0.1 % and one of
0.01 % show. Noise is what does not compress, so both are told. The file has a column for each field, float32, bytes
split by their place (BYTE_STREAM_SPLIT) and Zstandard behind it.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.forensics.tables import rows_table
from benchmarks.relay.results import Results
from gridledger.demonstration.running import run_to_end

RATE: Final = 50
ROWS: Final = 60 * RATE
PHASORS: Final = ("va", "vb", "vc", "ia", "ib")
FIELDS: Final = (*(f"{phasor}_{part}" for phasor in PHASORS for part in ("mag", "ang")), "frequency", "rocof")
"""Twelve values a frame."""
NOISES: Final = {"0.1 %": 1e-3, "0.01 %": 1e-4}
_FREQUENCY_NOISE: Final = 0.5
"""Hz of the standard deviation of a frequency's reading, times the noise of a magnitude: 0.5 mHz at 0.1 %."""
_MINUTES: Final = 10


def minute(seed: int, noise: float) -> Mapping[str, Any]:
    """The columns of one minute; ``noise`` is the standard deviation of a magnitude as a share of it."""
    random = np.random.default_rng(seed)
    slow = 50 + np.cumsum(random.normal(0, 2e-4, ROWS))
    columns: dict[str, Any] = {}
    turned = np.cumsum(slow - 50) * 2 * np.pi / RATE
    for number, phasor in enumerate(PHASORS):
        rated = 190_500.0 if phasor.startswith("v") else 400.0
        columns[f"{phasor}_mag"] = rated * (1 + random.normal(0, noise, ROWS))
        columns[f"{phasor}_ang"] = (turned - number * 2.0944 + random.normal(0, noise, ROWS) + np.pi) % (2 * np.pi)
    columns["frequency"] = slow + random.normal(0, _FREQUENCY_NOISE * noise, ROWS)
    columns["rocof"] = np.gradient(columns["frequency"]) * RATE
    return {name: columns[name].astype(np.float32) for name in FIELDS}


def parquet_of(columns: Mapping[str, Any], begin_us: int) -> bytes:
    """The file of a minute's rows."""
    times = begin_us + np.arange(ROWS, dtype=np.int64) * (1_000_000 // RATE)
    table = pa.table({"time_us": times, **columns})
    file = io.BytesIO()
    encodings = {"time_us": "DELTA_BINARY_PACKED", **dict.fromkeys(FIELDS, "BYTE_STREAM_SPLIT")}
    pq.write_table(table, file, compression="zstd", use_dictionary=False, column_encoding=encodings)
    return file.getvalue()


def synopsis_of(columns: Mapping[str, Any]) -> dict[str, list[float]]:
    """[n, least, mean, greatest] of each field, in seven digits, which a float32 has."""

    def told(value: Any) -> float:
        return float(f"{float(value):.7g}")

    return {
        name: [len(values), told(values.min()), told(values.mean(dtype="float64")), told(values.max())]
        for name, values in columns.items()
    }


async def measure() -> dict[str, Any]:
    """Both noises."""
    found = []
    for name, noise in NOISES.items():
        minutes = [minute(seed, noise) for seed in range(_MINUTES)]
        began = time.process_time()
        files = [parquet_of(columns, 1_700_000_000_000_000 + 60_000_000 * n) for n, columns in enumerate(minutes)]
        for file in files:
            sha256(file).digest()
        took_s = (time.process_time() - began) / _MINUTES
        size = sum(map(len, files)) / _MINUTES
        found.append(
            {
                "noise": name,
                "bytes_per_minute": round(size),
                "bytes_per_value": round(size / ROWS / len(FIELDS), 3),
                "ms_per_minute": round(1000 * took_s, 1),
            }
        )
    return {"fields": len(FIELDS), "rate": RATE, "rows": found}


async def run(options: argparse.Namespace) -> int:
    """Measure, or take what is stored for this commit."""
    results = Results(options.out / "rows.json", anew=options.anew)
    found = await results.of({"minutes": _MINUTES, "fields": FIELDS}, measure)
    results.write_table(rows_table(found))
    return 0


def main(argv: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forensics rows", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/forensics-bench"), help="where results go")
    parser.add_argument("--anew", action="store_true", help="measure again what is stored")
    options = parser.parse_args(argv)
    return run_to_end(run(options))
