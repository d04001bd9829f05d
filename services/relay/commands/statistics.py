"""``gridledger relay statistics``: synopses of hours."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say, say_fields, say_json, say_table
from gridledger.errors import InputError
from gridledger.field.capture import UNITS
from gridledger.field.minutes import minute_text
from services.relay.commands.clock import minute_now
from services.relay.commands.options import add_range, add_reading, new_parser
from services.relay.commands.reaching import opened, relay_named

_HOUR = 60
_DEFAULT_HOURS = 24


def main(argv: list[str]) -> int:
    """Print the synopses of a range of hours, and of all together."""
    parser = new_parser(
        "statistics",
        "Show what the closed hours of a range come to. Samples of 10 s are no class A of IEC 61000-4-30.",
        ("statistics", "statistics --from 2026-11-30T00:00Z --to 2026-12-01T00:00Z --json"),
    )
    add_reading(parser)
    add_range(parser, "a day before")
    options = parser.parse_args(argv)
    to_hour = minute_now() // _HOUR + 1 if options.end is None else _hour(options.end, "--to")
    from_hour = max(0, to_hour - _DEFAULT_HOURS) if options.begin is None else _hour(options.begin, "--from")
    answer = asyncio.run(_read(options, from_hour, to_hour))
    if options.as_json:
        say_json(answer)
        return 0
    say_table(
        ("hour", "captures", "confirmed", "disputed", "gaps", "faults", "MWh", "MVArh"), map(_row, answer["hours"])
    )
    if not answer["hours"]:
        note("note: a server closes an hour once each of its minutes is concluded, or its servers have had their time")
    total = answer["total"]
    if total["measures"]:
        say("")
        say_table(
            ("measure", "unit", "min", "mean", "max", "outside limits"), map(_measure_row, total["measures"].items())
        )
        say("")
        say_fields(_fields(total))
    if answer["open_hours"]:
        note(f"{len(answer['open_hours'])} of {to_hour - from_hour} hours are not closed")
    return 0


def _row(hour: dict[str, Any]) -> tuple[Any, ...]:
    gaps = sum(behind - first for first, behind in hour["gaps"])
    counts = (hour[name] for name in ("captures", "confirmed", "disputed"))
    energy = (f"{hour[name]:.3f}" for name in ("energy_mwh", "energy_mvarh"))
    return minute_text(hour["hour"] * _HOUR), *counts, gaps, f"{hour['faults']:g}", *energy


def _measure_row(item: tuple[str, dict[str, Any]]) -> tuple[str, ...]:
    measure, told = item
    outside = "no limits" if told["outside"] is None else f"{100 * told['outside']:.2f} %"
    return measure, UNITS[measure], *(f"{told[name]:.3f}" for name in ("min", "mean", "max")), outside


def _fields(total: dict[str, Any]) -> dict[str, str]:
    deviation, unbalance = total["frequency_deviation_hz"], total["unbalance_percent"]
    return {
        "frequency deviation": f"mean {deviation['mean']:.3f}, max {deviation['max']:.3f} Hz",
        "voltage unbalance": f"mean {unbalance['mean']:.2f}, max {unbalance['max']:.2f} %",
        "energy": f"{total['energy_mwh']:.3f} MWh, {total['energy_mvarh']:.3f} MVArh",
        "minutes": f"{total['captures']} captures, {total['disputed']} disputed, {total['gap_minutes']} missing",
    }


def _hour(minute: int, option: str) -> int:
    if minute % _HOUR:
        raise InputError(f"{option}: {minute_text(minute)} is no whole hour")
    return minute // _HOUR


async def _read(options: argparse.Namespace, from_hour: int, to_hour: int) -> dict[str, Any]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        return {"relay": relay, **await ledger.get_statistics(relay, from_hour, to_hour)}
