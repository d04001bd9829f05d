"""``gridledger case rules``: what the rules find in the rows of a case."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say, say_json, time_text
from gridledger.command_line import one_line
from gridledger.errors import InputError
from services.case.commands.asking import add_question, asked_desk, question_of, tell_left_out
from services.case.commands.json_input import read_json
from services.case.commands.options import new_parser
from services.case.examining import examined, read_case
from services.case.questions import RULES
from services.case.rules.catalogue import Examined

MOST_ROWS: Final = 1_000_000
USUAL_ROWS: Final = 100_000


def main(argv: list[str]) -> int:
    """Apply the rules; the exit code."""
    parser = new_parser(
        "rules",
        "Apply the rules to the rows of a case, as far as its scope and the options go: sessions without logout, new "
        "terminals, many openings within minutes, gaps, silence, wrong clocks and others. Each says in words what it "
        "found, and names the rows. A finding is a suspicion, not a judgement.",
        ("rules 2026-17", "rules 2026-17 --channel access section-home --parameters rules.json --json"),
    )
    add_question(parser, limit=USUAL_ROWS, most=MOST_ROWS)
    add_rule_files(parser)
    options = parser.parse_args(argv)
    told, left_out = asyncio.run(_run(options))
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


def rule_files(options: argparse.Namespace) -> tuple[dict[str, dict[str, float]], dict[str, list[str]]]:
    """Parameters and feeders as the files say; :class:`InputError` where they are no such."""
    parameters = read_json(str(options.parameters)) if options.parameters else {}
    feeders = read_json(str(options.feeders)) if options.feeders else {}
    for name, values in parameters.items():
        if not isinstance(values, dict) or not all(_is_number(value) for value in values.values()):
            raise InputError(f"{options.parameters}: {name:.40} must be an object of numbers")
    for name, meters in feeders.items():
        if not isinstance(meters, list) or not all(isinstance(meter, str) for meter in meters):
            raise InputError(f"{options.feeders}: {name:.40} must be a list of devices")
    return parameters, feeders


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def _run(options: argparse.Namespace) -> tuple[Examined, dict[str, int | None]]:
    parameters, feeders = rule_files(options)
    async with asked_desk(options) as (desk, ledger):
        read = await read_case(desk, ledger, options.case, RULES, question_of(options), most=options.limit)
    work = partial(examined, read, feeders=feeders, parameters=parameters)
    return await asyncio.to_thread(work), read.left_out
