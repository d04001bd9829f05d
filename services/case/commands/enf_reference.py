"""``gridledger case enf reference``: the grid's frequency as a device told it to the ledger, as a reference."""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.cli.output import note, say, say_json
from gridledger.errors import InputError
from gridledger.evidence.events import BATCH
from gridledger.extras import require_extra
from gridledger.files import write_atomically
from services.case.commands.asking import add_question, asked_desk, question_of
from services.case.commands.options import new_parser
from services.case.enf.told import batch_frequencies, in_seconds, told_frequencies
from services.case.examining import Read, read_case
from services.case.questions import EXPORT
from services.case.rows import Row
from services.case.rules.finding import of_kinds

_MOST: Final = 10_000_000


def main(argv: Sequence[str]) -> int:
    """Write the reference and what it rests on; the exit code."""
    options = _parser().parse_args(argv)
    if not options.devices or len(options.devices) != 1:
        raise InputError("--device names the one device whose frequency is the reference")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        say(f"{options.out}: {told['rows']} rows of {told['device']}; what they rest on: {_sources(options.out)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(
        "enf reference",
        "Write the frequency that a device told the ledger as a reference for 'enf match', with the columns time_s and "
        "frequency_hz, and beside it FILE.sources.json: the transactions and the batches that it rests on, which "
        "'case package --tx' proves. A batch's rows are taken from its Parquet file, if they give the root that the "
        "ledger has; that needs the extra forensics.",
        (
            "enf reference 2026-17 --device pmu-1 --out reference.csv",
            "enf reference 2026-17 --device pmu-1 --batches rows --from 2026-11-30T15:00Z --out reference.csv",
        ),
    )
    add_question(parser, limit=1_000_000, most=_MOST)
    parser.add_argument("--batches", type=Path, metavar="FOLDER", help="the Parquet files of the device's batches")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="the file; it must not be there")
    return parser


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    if options.out.exists():
        raise InputError(f"{options.out} is there already: name another file, or remove it")
    async with asked_desk(options) as (desk, ledger):
        read = await read_case(desk, ledger, options.case, EXPORT, question_of(options), most=options.limit)
    return await asyncio.to_thread(_write, options, read)


def _write(options: argparse.Namespace, read: Read) -> dict[str, Any]:
    device: str = options.devices[0]
    events = [row for row in of_kinds(read.rows, "frequency") if row.device == device]
    frequencies = told_frequencies(events, device)
    batches = [row for row in of_kinds(read.rows, BATCH) if row.device == device]
    used: list[Row] = []
    if options.batches is not None:
        used = _of_batches(options.batches, batches, device, frequencies)
    elif batches:
        note(f"note: {len(batches)} batches of {device} are left out: --batches names the folder of their files")
    if not frequencies:
        raise InputError(f"the rows have no frequency of {device}: it told none, or the case's scope does not reach it")
    lines = (f"{at_s:.6f},{'' if math.isnan(hertz) else repr(hertz)}\n" for at_s, hertz in in_seconds(frequencies))
    write_atomically(options.out, ("time_s,frequency_hz\n" + "".join(lines)).encode(), mode=0o600)
    told = {
        "case": options.case,
        "device": device,
        "rows": len(frequencies),
        "events": _transactions(events),
        "batches": [{"tx": row.tx_id, "channel": row.channel, "seq": row.seq, **_named(row)} for row in used],
        "left_out": read.left_out,
        "queries": read.queries,
    }
    write_atomically(_sources(options.out), jsontext.dumps(told) + b"\n", mode=0o600)
    return told


def _of_batches(folder: Path, batches: Sequence[Row], device: str, frequencies: dict[int, float]) -> list[Row]:
    """Put the rows of batches to the frequencies; the batches whose rows were taken."""
    require_extra("forensics", "rows of batches")
    from services.case.batch_files import read_batches  # noqa: PLC0415 - of the extra

    found = read_batches(folder, batches)
    for each in found.notes():
        note(f"note: {each}")
    frequencies |= batch_frequencies(found.columns.get(device, {}))
    return found.used


def _transactions(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each transaction once, in the order of the chain."""
    ordered = sorted(rows, key=lambda row: (row.channel, row.block, row.position))
    return [
        {"channel": channel, "tx": tx} for channel, tx in dict.fromkeys((row.channel, row.tx_id) for row in ordered)
    ]


def _named(batch: Row) -> dict[str, Any]:
    return {name: batch.details.get(name) for name in ("rows", "root", "sha256")}


def _sources(path: Path) -> Path:
    return path.with_name(f"{path.name}.sources.json")
