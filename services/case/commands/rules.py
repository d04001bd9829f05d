"""``gridledger case rules``: what the rules find in the rows of a case."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say, say_json, time_text
from gridledger.command_line import one_line
from gridledger.errors import InputError
from gridledger.evidence.events import BATCH
from gridledger.extras import require_extra
from services.case.commands.asking import add_question, asked_desk, question_of, tell_left_out
from services.case.commands.json_input import read_json
from services.case.commands.options import new_parser
from services.case.examining import Read, examined, read_case
from services.case.questions import RULES
from services.case.rows import Row
from services.case.rules.catalogue import Examined
from services.case.rules.finding import Rule, of_kinds

MOST_ROWS: Final = 1_000_000
USUAL_ROWS: Final = 100_000


def main(argv: list[str]) -> int:
    """Apply the rules; the exit code."""
    parser = new_parser(
        "rules",
        "Apply the rules to the rows of a case, as far as its scope and the options go: sessions without logout, new "
        "terminals, many openings within minutes, gaps, silence, wrong clocks and others. Each says in words what it "
        "found, and names the rows. A finding is a suspicion, not a judgement.",
        (
            "rules 2026-17",
            "rules 2026-17 --channel access section-home --parameters rules.json --json",
            "rules 2026-17 --channel section-transmission --placement pmus.json --batches rows",
        ),
    )
    add_question(parser, limit=USUAL_ROWS, most=MOST_ROWS)
    add_rule_files(parser)
    options = parser.parse_args(argv)
    told, left_out, notes = asyncio.run(_run(options))
    for about_files in notes:
        note(f"note: {about_files}")
    if options.as_json:
        say_json({"case": options.case, **told.to_dict(), "left_out": left_out})
        return 0
    for each in told.findings:
        say(f"{time_text(each.from_us)}  {each.rule}: {one_line(each.text)} ({len(each.rows) + each.more} rows)")
    say(f"{len(told.findings)} findings in {told.rows} rows")
    for name, why in told.not_applied.items():
        note(f"note: {name} was not applied: {why}")
    tell_left_out(left_out)
    return 0


def add_rule_files(parser: argparse.ArgumentParser) -> None:
    """What the rules go by beside rows."""
    parser.add_argument(
        "--parameters", type=Path, metavar="FILE", help='values of rules: JSON, {"many-openings": {"devices": 3}}'
    )
    parser.add_argument(
        "--feeders", type=Path, metavar="FILE", help='the meters behind each feeder: JSON, {"feeder-1": ["meter-1"]}'
    )
    parser.add_argument("--placement", type=Path, metavar="FILE", help="where PMUs stand in a grid case: JSON")
    parser.add_argument(
        "--batches", type=Path, metavar="FOLDER", help="the Parquet files of the PMUs' batches; needs --placement"
    )


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """What the options hand to the rules. ``batches``: the folder with the rows of the PMUs of ``placement``."""

    parameters: Mapping[str, Mapping[str, float]]
    feeders: Mapping[str, list[str]]
    placement: Mapping[str, Any] | None = None
    batches: Path | None = None

    @classmethod
    def read(cls, options: argparse.Namespace) -> RuleFiles:
        """The files; :class:`InputError` where one is not what it must be."""
        parameters = read_json(str(options.parameters)) if options.parameters else {}
        feeders = read_json(str(options.feeders)) if options.feeders else {}
        for name, values in parameters.items():
            if not isinstance(values, dict) or not all(_is_number(value) for value in values.values()):
                raise InputError(f"{options.parameters}: {name:.40} must be an object of numbers")
        for name, meters in feeders.items():
            if not isinstance(meters, list) or not all(isinstance(meter, str) for meter in meters):
                raise InputError(f"{options.feeders}: {name:.40} must be a list of devices")
        if (options.placement is None) != (options.batches is None):
            raise InputError("--placement says where the PMUs stand, --batches has their rows: give both, or neither")
        placement = read_json(str(options.placement)) if options.placement else None
        return cls(parameters, feeders, placement, options.batches)

    def examined(self, read: Read) -> tuple[Examined, list[str]]:
        """What the rules find in the rows, and what of the PMUs' files was not there or did not count."""
        more: list[Rule] = []
        notes: list[str] = []
        if self.placement is not None and self.batches is not None:
            rule, notes = _about_clocks(self.placement, self.batches, read.rows)
            more.append(rule)
        return examined(read, feeders=self.feeders, more=more, parameters=self.parameters), notes


def _about_clocks(given: Mapping[str, Any], folder: Path, rows: Sequence[Row]) -> tuple[Rule, list[str]]:
    """The rule about GPS spoofing for what the files of the case's batches say."""
    require_extra("forensics", "rules about phasors")
    from services.case.batch_files import read_batches  # noqa: PLC0415 - of the extra
    from services.case.rules.gps import gps_rule  # noqa: PLC0415
    from services.case.rules.placement import measured, placement_of  # noqa: PLC0415

    placement = placement_of(given)
    found = read_batches(folder, [row for row in of_kinds(rows, BATCH) if row.device in placement.pmus])
    return gps_rule(measured(placement, found.columns)), found.notes()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def _run(options: argparse.Namespace) -> tuple[Examined, dict[str, int | None], list[str]]:
    files = RuleFiles.read(options)
    async with asked_desk(options) as (desk, ledger):
        read = await read_case(desk, ledger, options.case, RULES, question_of(options), most=options.limit)
    told, notes = await asyncio.to_thread(files.examined, read)
    return told, read.left_out, notes
