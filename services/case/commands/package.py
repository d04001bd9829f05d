"""``gridledger case package``: the evidence package of what a question finds, and its finding on the ledger."""

from __future__ import annotations

import argparse
import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import say_fields, say_json
from gridledger.errors import InputError
from gridledger.evidence.package import read_package
from gridledger.files import write_atomically
from services.case.collecting import disclosed_of
from services.case.commands.asking import add_question, asked_desk, question_of
from services.case.commands.options import new_parser

_MOST: Final = 10_000


def main(argv: list[str]) -> int:
    """Make a package; the exit code."""
    parser = new_parser(
        "package",
        "Make the evidence package of the transactions that a question finds, and record it as a finding: its SHA-256, "
        "and the transactions that it discloses because blocks are proved whole. 'case verify' proves it offline.",
        (
            "package 2026-17 --device line-relay-1 --kind command --title 'the openings' --out case.zip --disclose",
            "package 2026-17 --tx 5b1f... --title 'the first login' --out login.zip",
        ),
    )
    add_question(parser, limit=1000, most=_MOST)
    parser.add_argument("--title", required=True, metavar="TEXT", help="what it shows; it stands on the ledger")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the package; it must not be there")
    parser.add_argument(
        "--disclose", action="store_true", help="allow other transactions in its blocks, which the finding lists"
    )
    options = parser.parse_args(argv)
    if options.out.exists():
        raise InputError(f"{options.out} is there already: name another file, or remove it")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        fields = {name: told[name] for name in ("package", "sha256", "transactions", "disclosed", "finding")}
        say_fields(fields)
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    question = question_of(options)
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
        "disclosed": sum(len(each["transactions"]) for each in disclosed),
        "query": query,
        "finding": finding["tx"],
    }
