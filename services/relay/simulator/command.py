"""``gridledger relay simulate``: a simulated relay by hand, as ``python -m services.relay.simulator`` by options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gridledger.cli.output import note
from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.errors import SettingsError
from services.relay.simulator.misbehaviour import KINDS
from services.relay.simulator.process import run
from services.relay.simulator.settings import SimulatorSettings

DEFAULT_PORT = 5010


def main(argv: list[str]) -> int:
    """Run a simulated relay until Ctrl-C; the exit code. Raises :class:`SettingsError` for options that do not fit."""
    settings = settings_of(_parser().parse_args(argv))
    note(f"relay at http://{settings.host}:{settings.port}, captures in {settings.data}; Ctrl-C ends it")
    code = run(settings)
    if code == EXIT_INTERRUPTED:
        note("stopped")
    return code


def settings_of(options: argparse.Namespace) -> SimulatorSettings:
    """The settings that options say; what is not given has its default."""
    given: dict[str, Any] = {name: value for name, value in vars(options).items() if value is not None}
    try:
        return SimulatorSettings(name="relay", **given)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']}" for item in error.errors())
        raise SettingsError(f"the relay cannot be simulated so: {faults}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger relay simulate",
        description="Run a simulated relay: a capture a minute, served as text over HTTP. Ctrl-C ends it.",
    )
    add = parser.add_argument
    add("--port", type=int, default=DEFAULT_PORT, help="of HTTP; default %(default)s")
    add("--host", help="default 127.0.0.1")
    add("--modbus-port", type=int, help="serve Modbus TCP there too, for example 5020")
    add("--iec61850-port", type=int, help="serve IEC 61850 (MMS) there too, for example 10102")
    add("--folder", type=Path, dest="data", default=Path("out/simulated-relay"), help="default %(default)s")
    add("--minute-s", type=float, help="how long a minute of its clock lasts, at most the 60 s of a real one")
    add("--minutes", type=int, help="how many of them it begins before the present, which it then reaches; 1440")
    add("--start-minute", type=int, help="begin with this UTC epoch minute, in place of --minutes")
    add("--interval-s", type=int, help="seconds between readings, a divisor of 60; 10")
    add("--seed", type=int, help="same seed, same captures in the same minutes")
    add("--name", dest="relay", help="the relay's name in its captures; Relay 1")
    add("--substation", help="the substation in its captures")
    add(
        "--utc-offset",
        dest="utc_offsets",
        action="append",
        type=_offset,
        metavar="[FROM:]MIN",
        help="minutes by which its clock is ahead of UTC; again with FROM (a UTC epoch minute) for each later change",
    )
    add("--physical", action="store_true", default=None, help="P and Q follow from V, I and FP")
    add("--misbehave", choices=KINDS, help="what it does wrong from its first minute on")
    return parser


def _offset(told: str) -> dict[str, int]:
    from_minute, _, offset = told.rpartition(":")
    try:
        return {"from_minute": int(from_minute or 0), "offset_min": int(offset)}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{told!r} is not MIN or FROM:MIN") from None
