"""``gridledger case package``: the evidence package of what a question finds, and its finding on the ledger."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say_fields, say_json
from gridledger.errors import InputError
from gridledger.evidence.assembling import disclosed_of
from gridledger.evidence.package import read_package
from gridledger.files import write_atomically
from services.case.commands.asking import add_question, asked_desk, question_of
from services.case.commands.options import new_parser
from services.case.questions import BODIES, FILES, ROWS, names_of

_MOST: Final = 10_000


def main(argv: list[str]) -> int:
    """Make a package; the exit code."""
    parser = new_parser(
        "package",
        "Make the evidence package of the transactions that a question finds, and record it as a finding: its SHA-256, "
        "and the transactions that it discloses because blocks are proved whole. 'case verify' proves it offline.",
        (
            "package 2026-17 --device line-relay-1 --kind command --title 'the openings' --out case.zip --disclose",
            "package 2026-17 --device line-pmu-1 --kind batch --rows --title 'that minute' --out minute.zip",
            "package 2026-17 --tx 5b1f... --title 'the first login' --out login.zip",
        ),
    )
    add_question(parser, limit=1000, most=_MOST)
    parser.add_argument("--title", required=True, metavar="TEXT", help="what it shows; it stands on the ledger")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the package; it must not be there")
    parser.add_argument(
        "--disclose", action="store_true", help="allow other transactions in its blocks, which the finding lists"
    )
    for part, what in (
        (ROWS, "take the rows of batches from light nodes, those of the question's time"),
        (FILES, "take the files of batches from light nodes, where all of them is of the case's time"),
        (BODIES, "take bodies that stay off the ledger from light nodes that give them to the authority"),
    ):
        parser.add_argument(f"--{part}", dest="parts", action="append_const", const=part, help=what)
    options = parser.parse_args(argv)
    if options.out.exists():
        raise InputError(f"{options.out} is there already: name another file, or remove it")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        names = ("package", "sha256", "transactions", "rows", "files", "bodies", "disclosed", "finding")
        say_fields({name: told[name] for name in names})
    for each in told["missing"]:
        note(f"note: {each['part']} of event {each['seq']} of {each['device']} are not in it: {each['why']}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    question = replace(question_of(options), parts=names_of(options.parts))
    async with asked_desk(options) as (desk, ledger):
        query, data = await desk.package(options.case, question, disclose=options.disclose)
        package = await asyncio.to_thread(read_package, data)
        digest, disclosed = sha256(data).hexdigest(), disclosed_of(package)
        write_atomically(options.out, data, mode=0o600)
        finding = await ledger.record_finding(options.case, digest, options.title, disclosed)
    return {
        "case": options.case,
        "package": str(options.out),
        "sha256": digest,
        "transactions": len(package.evidence),
        "rows": len(package.rows),
        "files": len(package.attachments),
        "bodies": len(package.bodies),
        "missing": package.about.get("missing", []),
        "disclosed": sum(len(each["transactions"]) for each in disclosed),
        "query": query,
        "finding": finding["tx"],
    }
