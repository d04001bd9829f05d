"""Rules about what was done to devices: commands, openings, firmware."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from services.case.rows import Row
from services.case.rules.finding import (
    SECOND_US,
    Finding,
    Parameter,
    Rule,
    Values,
    by,
    dense,
    finding,
    listed,
    of_kinds,
    span,
    told_us,
)

ISSUED, OPENED = "command-issued", "session-opened"
OPENING: Final = frozenset(("open", "trip", "disconnect"))
"""Commands that interrupt."""
_FIRST_BLOCK: Final = 1
"""Block 0 is a channel's configuration. Of a record that begins later, openings may lie before it."""
_CLOCKS_US: Final = 2 * SECOND_US
"""How far a device's clock and a client's may be apart."""


def _without_session(rows: Sequence[Row], values: Values) -> list[Finding]:
    """Three ways: a command that was not valid, one in a session that was never opened, and one that a device carried
    out although nobody issued it."""
    sessions = {row.session: row for row in of_kinds(rows, OPENED)}
    begins = {channel: min(row.block for row in each) for channel, each in by(rows, lambda row: row.channel)}
    found = []
    for row in rows:
        if row.kind != ISSUED:
            continue
        if not row.is_valid:
            text = f"a command to {row.device} in session {row.session} was submitted and not valid (code {row.code})"
        elif row.session not in sessions and begins[row.channel] <= _FIRST_BLOCK:
            text = f"a command to {row.device} names session {row.session}, which the channel has no opening of"
        else:
            continue
        found.append(finding("command-without-session", text, [row], device=row.device, session=row.session))
    issued = defaultdict(list)
    for row in of_kinds(rows, ISSUED):
        issued[row.device, _command(row)].append(told_us(row))
    for row in of_kinds(rows, "command"):
        times = sorted(issued[row.device, _command(row)])
        place = bisect_right(times, told_us(row) + _CLOCKS_US)
        if not place or told_us(row) - times[place - 1] > values["within_s"] * SECOND_US + _CLOCKS_US:
            text = f"{row.device} carried out {_command(row)!r}, which no operator had issued in a session"
            found.append(finding("command-without-session", text, [row], device=row.device))
    return found


def _many_openings(rows: Sequence[Row], values: Values) -> list[Finding]:
    openings = [row for row in of_kinds(rows, ISSUED, "shutdown") if row.kind == "shutdown" or _is_opening(row)]
    openings.sort(key=told_us)
    stretches = dense(openings, values["window_s"] * SECOND_US, values["devices"], lambda row: row.device)
    return [_mass_opening(each) for each in stretches]


def _mass_opening(run: list[Row]) -> Finding:
    devices = list(dict.fromkeys(str(row.device) for row in run))
    seconds = (told_us(run[-1]) - told_us(run[0])) / SECOND_US
    operators = listed(row.operator for row in run if row.operator)
    text = (
        f"{len(devices)} devices were opened within {span(seconds)}, by {operators or 'themselves'}: {listed(devices)}"
    )
    details = {
        "devices": devices,
        "openings": [{"device": row.device, "session": row.session, "time_us": told_us(row)} for row in run],
    }
    return finding("many-openings", text, run, details=details)


def _firmware(rows: Sequence[Row], values: Values) -> list[Finding]:
    upgrades = [row for row in of_kinds(rows, ISSUED) if _command(row) in ("upgrade", "update-firmware")]
    found = []
    for device, told in by(of_kinds(rows, "config", "health"), lambda row: row.device):
        before: tuple[str, Row] | None = None
        for row in told:
            firmware = _body(row).get("firmware")
            if not isinstance(firmware, str):
                continue
            if before is not None and firmware != before[0]:
                since = [
                    each
                    for each in upgrades
                    if each.device == device and 0 <= told_us(row) - told_us(each) <= values["within_s"] * SECOND_US
                ]
                if not since:
                    text = (
                        f"the firmware of {device} went from {before[0]:.40} to {firmware:.40}, and no operator had "
                        "commanded an upgrade"
                    )
                    found.append(finding("firmware-changed", text, [before[1], row], device=device))
            before = (firmware, row)
    return found


def _command(row: Row) -> str:
    """The command of a row of either kind, as it is written; empty where it has none."""
    told = row.details if row.kind == ISSUED else _body(row)
    command = told.get("command")
    return command if isinstance(command, str) else ""


def _is_opening(row: Row) -> bool:
    return _command(row).lower() in OPENING


def _body(row: Row) -> dict[str, Any]:
    body = row.details.get("body")
    return body if isinstance(body, dict) else {}


RULES: Final = (
    Rule(
        "command-without-session",
        "A command was submitted outside an open session, or a device carried out one that nobody issued.",
        _without_session,
        (Parameter("within_s", 60.0, "s", "how long after a command its device may carry it out"),),
        needs_all=True,
    ),
    Rule(
        "many-openings",
        f"Many devices were interrupted within minutes: by the commands {', '.join(sorted(OPENING))}, or by shutdown.",
        _many_openings,
        (
            Parameter("devices", 5.0, "devices", "how many different ones"),
            Parameter("window_s", 600.0, "s", "within which time", scales=True),
        ),
    ),
    Rule(
        "firmware-changed",
        "A device tells another firmware than before, and no operator had commanded an upgrade.",
        _firmware,
        (Parameter("within_s", 21_600.0, "s", "how long before the upgrade was commanded", scales=True),),
    ),
)
