"""``gridledger case verify``: an evidence package, offline. ``verify.pyz`` in each package is this very command."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from gridledger import jsontext
from gridledger.command_line import EXIT_USAGE, one_line, tell_error
from gridledger.errors import GridLedgerError
from gridledger.evidence.canonical_zip import MAX_BYTES
from gridledger.evidence.report import Outcome, ProvedEvent, ProvedTransaction, Report
from services.case.commands.options import new_parser
from services.case.judging import verified
from services.case.stamp_files import add_stamp, read_part, stamp_of
from services.case.trusted import read_trusted
from services.case.verifier import verifier

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES: Final = {
    Outcome.PROVED: "PROVED",
    Outcome.BROKEN: "BROKEN",
    Outcome.NOT_ANCHORED: "NOT ANCHORED YET",
}


def main(argv: list[str]) -> int:
    """Verify a package; 0 proved, 1 broken, 2 wrong usage, 3 not anchored yet."""
    parser = new_parser(
        "verify",
        "Verify an evidence package offline: needs no network, no extra, nothing but the package and what you trust; "
        "a time stamp beside it needs rfc3161-client. "
        "ROOTS is a folder with MSPID.pem for each organisation, genesis.json and roles.json, from a member whom you "
        "trust; nothing in the package is trusted, its verify.pyz neither. Exit codes: 0 proved, 1 broken, 2 wrong "
        "usage, 3 not anchored yet.",
        (
            "verify case.zip --roots ROOTS",
            "verify case.zip --roots ROOTS --stamp case.zip.tsr --tsa-roots tsa.pem --json",
        ),
    )
    parser.add_argument("package", type=Path, metavar="FILE", help="the package")
    parser.add_argument("--roots", type=Path, required=True, metavar="ROOTS", help="the folder of what you trust")
    add_stamp(parser)
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")
    options = parser.parse_args(argv)
    try:
        trusted, stamp = read_trusted(options.roots), stamp_of(options)
        data = read_part(options.package, MAX_BYTES + 1)
        report = verified(data, trusted, stamp)
        report.notes += _of_verifier(report)
    except GridLedgerError as error:  # what a package can be is told in the report; these are the inputs
        tell_error(error)
        return EXIT_USAGE
    if options.as_json:
        _say(jsontext.dumps(report.to_dict()).decode())
    else:
        _tell(report)
    return report.exit_code


def _of_verifier(report: Report) -> list[str]:
    """How the verifier in the package, which is the packager's, compares with the one of this version."""
    if not report.verifier_sha256:
        return []
    what = f"verify.pyz in the package has the SHA-256 {report.verifier_sha256}"
    try:
        own = sha256(verifier()).hexdigest()
    except (GridLedgerError, OSError) as error:
        return [f"{what}; this version's cannot be told: {error}"]
    if report.verifier_sha256 == own:
        return [f"{what}, as the one that this version makes."]
    return [f"{what}; the one that this version makes has {own}. Do not run it unless you know where it comes from."]


def _tell(report: Report) -> None:
    for step in report.steps:
        where = f"  {step.file}" if step.file else ""
        _say(one_line(f"{'ok' if step.holds else 'BROKEN'}: {step.name}{where}: {step.message}"))
    if report.broken is None:
        for transaction in report.transactions:
            _say(f"  {one_line(_transaction(transaction))}")
        for event in report.events:
            _say(f"  {one_line(_event(event))}")
        for row in report.rows:
            _say(f"  {one_line(f'{row.channel}: row {row.index} of batch {row.seq} of {row.device}: {row.row}')}")
    for note in report.notes:
        _say(f"note: {one_line(note)}")
    if report.disclosed:
        _say(f"note: {report.disclosed} other transactions stand in the package's blocks.")
    _say(_OUTCOMES[report.outcome])


def _transaction(item: ProvedTransaction) -> str:
    bound = "ordered and endorsed" if item.anchored is None else f"anchored at {item.anchored} blocks"
    return (
        f"{item.channel} block {item.block}/{item.index}, {_time(item.block_time_us)}: "
        f"{item.chaincode}.{item.function} by {item.signer} of {item.mspid}, {bound}"
    )


def _event(item: ProvedEvent) -> str:
    marks = f" [{', '.join(item.marks)}]" if item.marks else ""
    return (
        f"{item.channel} block {item.block}: {item.device} of {item.mspid} said event {item.seq}, {item.kind}, "
        f"at {_time(item.time_us)} (block {_time(item.block_time_us)}){marks}"
    )


def _time(time_us: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{time_us} us"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
