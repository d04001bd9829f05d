"""``gridledger case enf``: when a recording was made and where it was edited, by the hum of the mains in it."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridledger.cli.output import note, say, say_fields, say_json, say_table, time_text
from gridledger.command_line import EXIT_USAGE
from gridledger.errors import InputError
from gridledger.extras import require_extra
from services.case.commands.options import new_parser

if TYPE_CHECKING:
    from services.case.enf.analysis import Analysis

VERBS: Final = ("match", "reference")
_LEAST_NOMINAL, _MOST_NOMINAL = 10.0, 100.0
_US: Final = 1_000_000


def main(argv: list[str]) -> int:
    """Run one of :data:`VERBS`."""
    if not argv or argv[0] in ("-h", "--help"):
        say("usage: gridledger case enf match RECORDING --reference CSV ...")
        say("       gridledger case enf reference CASE --device DEVICE --out CSV ...")
        say("")
        say("Recordings by the network's frequency. 'gridledger case enf match --help' tells the options.")
        return 0 if argv else EXIT_USAGE
    if argv[0] not in VERBS:
        sys.stderr.write(f"error: there is no subcommand {argv[0]!r:.40} of enf. See gridledger case enf --help\n")
        return EXIT_USAGE
    if argv[0] == "reference":
        return int(importlib.import_module("services.case.commands.enf_reference").main(argv[1:]))
    return match(argv[1:])


def match(argv: Sequence[str]) -> int:
    """Print when the recording was made, and its edits. No match is an answer too: exit code 0."""
    options = _parser().parse_args(argv)
    require_extra("forensics", "gridledger case enf")
    analysis = _analysed(options)
    if options.plot is not None:
        _plot(options.plot, analysis, options.recording.name)
    if options.as_json:
        say_json(analysis.as_json())
    else:
        _tell(analysis)
    for warning in analysis.warnings:
        note(f"warning: {warning}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(
        "enf match",
        "Find when a sound recording was made, and what was cut out of it or put into it, by the hum of the mains: its "
        "frequency is compared with the frequency that was measured in the grid. The reference is a CSV file with the "
        "columns time_s (seconds since 1970, ascending, a row a second) and frequency_hz (empty or NaN: not measured). "
        "Needs no network; needs the extra forensics.",
        (
            "enf match call.wav --reference frequency.csv --nominal 50",
            "enf match call.wav --reference frequency.csv --nominal 60 --json --plot call.png",
        ),
    )
    parser.add_argument("recording", type=Path, metavar="FILE", help="WAV, AIFF, FLAC, Ogg or MP3")
    parser.add_argument("--reference", type=Path, metavar="CSV", required=True, help="the grid's frequency")
    parser.add_argument("--nominal", type=_nominal, metavar="HZ", default=50.0, help="50 (the default) or 60")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw reference, recording and edits as PNG")
    parser.add_argument(
        "--allow-cut", action="store_true", help="take what is there of a file that is shorter than its header says"
    )
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")
    return parser


def _nominal(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not _LEAST_NOMINAL <= value <= _MOST_NOMINAL:
        raise argparse.ArgumentTypeError(
            f"a frequency in Hz from {_LEAST_NOMINAL:g} to {_MOST_NOMINAL:g}, usually 50 or 60"
        )
    return value


def _analysed(options: argparse.Namespace) -> Analysis:
    from services.case.enf.analysis import analyse  # noqa: PLC0415 -- numpy and scipy are of the extra forensics
    from services.case.enf.extract import extract  # noqa: PLC0415
    from services.case.enf.recording import Recording  # noqa: PLC0415
    from services.case.enf.reference_csv import read_reference  # noqa: PLC0415

    with Recording(options.recording, allow_cut=options.allow_cut) as recording:
        reference = read_reference(options.reference, options.nominal)
        hum = extract(recording.blocks(), recording.format.rate, options.nominal)
    return analyse(hum, reference)


def _plot(path: Path, analysis: Analysis, title: str) -> None:
    try:
        importlib.import_module("services.case.enf.plot").write_png(path, analysis, title)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _tell(analysis: Analysis) -> None:
    used = ", ".join(f"{tone.harmonic} ({tone.snr_db:.0f} dB)" for tone in analysis.hum.tones if tone.used)
    fields = {
        "recorded from": "no match" if analysis.start_s is None else f"{time_text(round(analysis.start_s * _US))} UTC",
        "confidence": f"{analysis.confidence:.6f}",
    }
    if analysis.reason:
        fields["reason"] = analysis.reason
    if analysis.fit is not None and analysis.place is not None:
        place, fit = analysis.place, analysis.fit
        fields["correlation"] = f"{place.correlation:.5f}, second best {place.second_correlation:.5f}"
        fields["left"] = f"{1e3 * fit.noise_hz:.2f} mHz; offset {1e3 * fit.offset_hz:.2f} mHz"
    fields["hum"] = f"{analysis.hum.heard_s} of {analysis.hum.duration_s:.0f} s; harmonics {used}"
    say_fields(fields)
    if analysis.start_s is not None and not analysis.found.edits:
        say("no edits seen")
    if analysis.found.edits:
        rows = [(each.kind, f"{each.at_s:.2f}", f"{each.length_s:.2f}") for each in analysis.found.edits]
        say_table(("edit", "at, s", "length, s"), rows)
    for doubt in analysis.found.doubts:
        note(f"note: {doubt.at_s:.0f} s to {doubt.at_s + doubt.length_s:.0f} s: {doubt.why}")
