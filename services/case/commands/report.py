"""``gridledger case report``: a case on one HTML page that needs no other file."""

from __future__ import annotations

import argparse
import asyncio
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from gridledger.cli.output import note, say_fields, say_json
from gridledger.errors import InputError
from gridledger.extras import require_extra
from services.case.commands.asking import add_question, asked_desk, question_of
from services.case.commands.options import new_parser
from services.case.commands.rules import MOST_ROWS, USUAL_ROWS, RuleFiles, add_rule_files
from services.case.examining import read_case
from services.case.judging import verified
from services.case.questions import REPORT
from services.case.report.dossier import Dossier, Packed
from services.case.stamp_files import StampFile, add_stamp, stamp_of
from services.case.trusted import read_trusted

_MAX_QUERIES: Final = 10_000


def main(argv: list[str]) -> int:
    """Write the report; the exit code."""
    parser = new_parser(
        "report",
        "Write a case's report: purpose and scope, what the rules found, the timeline, what was left out, the queries "
        "that were made, and, of a package, what verifying it says. One HTML file that needs no other.",
        ("report 2026-17 --out report.html", "report 2026-17 --out report.html --package case.zip --roots ROOTS"),
    )
    add_question(parser, limit=USUAL_ROWS, most=MOST_ROWS)
    add_rule_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page; it is written anew")
    parser.add_argument("--package", type=Path, metavar="FILE", help="an evidence package of the case")
    parser.add_argument("--roots", type=Path, metavar="ROOTS", help="what is trusted, to verify the package")
    add_stamp(parser)
    options = parser.parse_args(argv)
    require_extra("forensics", "gridledger case report")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        say_fields(told)
    return 0


async def _run(options: argparse.Namespace) -> dict[str, object]:
    from services.case.report.page import write_case_report  # noqa: PLC0415 -- draws with matplotlib

    files = RuleFiles.read(options)
    stamp = stamp_of(options)
    if stamp is not None and options.package is None:
        raise InputError("--stamp is judged with its package: name it with --package")
    packed = packed_of(options.package, options.roots, stamp) if options.package else None
    async with asked_desk(options) as (desk, ledger):
        read = await read_case(desk, ledger, options.case, REPORT, question_of(options), most=options.limit)
        queries = [each async for each in ledger.queries(options.case)][:_MAX_QUERIES]
        findings = [each async for each in ledger.findings(options.case)]
    found, notes = await asyncio.to_thread(files.examined, read)
    for each in notes:
        note(f"note: {each}")
    dossier = Dossier(
        case=read.case,
        queries=queries,
        findings=findings,
        rows=read.rows,
        examined=found,
        made_us=time.time_ns() // 1000,
        left_out=read.left_out,
        packed=packed,
    )
    await asyncio.to_thread(write_case_report, options.out, dossier)
    return {
        "case": options.case,
        "report": str(options.out),
        "rows": len(read.rows),
        "findings": len(found.findings),
        "package": "none" if packed is None else "not verified" if packed.verification is None else _outcome(packed),
    }


def _outcome(packed: Packed) -> str:
    return "" if packed.verification is None else str(packed.verification["outcome"])


def packed_of(file: Path, roots: Path | None, stamp: StampFile | None = None) -> Packed:
    """A package's file, verified where it is said what is trusted, with the time stamp over it."""
    if stamp is not None and roots is None:
        raise InputError("--stamp is judged with the package: say with --roots what is trusted")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
    verification = None
    if roots is not None:
        verification = verified(data, read_trusted(roots), stamp).to_dict()
    return Packed(file.name, sha256(data).hexdigest(), len(data), verification)
