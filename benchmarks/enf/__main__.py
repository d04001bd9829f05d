"""``python -m benchmarks.enf [places] [edits] [speed]``: how well recordings are dated by the hum of the mains.

``places``: how often the best place of a recording is wrong, how far off a right one is, and what recordings of
another day give, by length and SNR (figure and table). ``edits``: cuts and insertions found, by SNR. ``speed``: an hour
of sound against a year of reference. Nothing but the seeds decides the recordings. The tables are in OUT/*.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.enf import edited, figure, places
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED
from services.case.enf import synthesis
from services.case.enf.extract import extract
from services.case.enf.match import find
from services.case.enf.reference import Reference
from services.case.enf.synthesis import Sound

MODES = ("places", "edits", "speed")
_BEGUN = time.monotonic()
_YEAR_S = 365 * 86_400


def tell(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - _BEGUN:6.1f} s] {text}", flush=True)


def run_places(options: argparse.Namespace) -> list[str]:
    """Places by length and SNR; what is missed."""
    cells = places.measure(options.lengths, options.snrs, options.seeds, tell)
    _write(options.out, "places", places.as_json(cells), f"{places.table(cells)}\n\n{places.tail(cells)}")
    figure.write(options.out / "enf-error.png", cells)
    return [
        f"{cell.length_s} s at {cell.snr_db:g} dB: a wrong place was told"
        for cell in cells
        if cell.told_wrong or cell.other_told
    ]


def run_edits(options: argparse.Namespace) -> list[str]:
    """Edits by SNR; what is missed."""
    found = edited.measure(options.snrs, options.seeds, tell)
    _write(options.out, "edits", edited.as_json(found), edited.table(found))
    return []


def run_speed(options: argparse.Namespace) -> list[str]:
    """An hour against a year; what is missed."""
    year = synthesis.grid_frequency(1, _YEAR_S)
    sound = Sound(rate=8_000, snr_db=0.0)
    begun = time.process_time()
    samples = synthesis.recorded(year, 20_000_000.0, 3_600.0, sound, 1)
    made, begun = time.process_time() - begun, time.process_time()
    hum = extract((part[:, np.newaxis] for part in np.array_split(samples, 100)), sound.rate, 50.0)
    heard, begun = time.process_time() - begun, time.process_time()
    reference = Reference(0.0, 50.0, (year - 50.0).astype(np.float32))
    found = find(hum, reference)
    matched = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = (
        f"processor seconds: {made:.1f} to synthesise, {heard:.1f} to hear the hum of an hour at 8 kHz, {matched:.1f} "
        f"to look for it in {_YEAR_S} seconds; most memory {peak:.0f} MB, the synthesis's included"
    )
    tell(text)
    _write(options.out, "speed", {"heard_s": heard, "matched_s": matched}, text)
    return [] if not found.reason else ["the hour was not found in the year"]


def _write(out: Path, name: str, value: object, text: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")
    (out / f"{name}.md").write_text(text + "\n")
    print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the modes; exit code 1 where a wrong place was told."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.enf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modes", nargs="*", metavar="MODE", help=f"of {', '.join(MODES)}; all without")
    parser.add_argument("--seeds", type=int, default=40, help="recordings of each kind (default: %(default)s)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[60, 120, 300, 600, 1_200, 1_800], metavar="S")
    parser.add_argument("--snrs", type=float, nargs="+", default=[0.0, -15.0, -20.0, -25.0, -30.0], metavar="DB")
    parser.add_argument("--out", type=Path, default=Path("out/enf-bench"))
    options = parser.parse_args(argv)
    unknown = [mode for mode in options.modes if mode not in MODES]
    if unknown:
        parser.error(f"there is no mode {unknown[0]!r}")
    runs = {"places": run_places, "edits": run_edits, "speed": run_speed}
    missed = []
    try:
        for mode in options.modes or MODES:
            missed += runs[mode](options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    for text in missed:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if missed else 0


if __name__ == "__main__":
    sys.exit(main())
