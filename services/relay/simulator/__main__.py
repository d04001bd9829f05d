"""``python -m services.relay.simulator --config FILE``: a simulated relay as a companion of a network."""

from __future__ import annotations

from gridledger.command_line import tell_error
from gridledger.errors import GridLedgerError
from gridledger.settings import load_settings
from gridledger.web import settings_file
from services.relay.ending import run_and_end
from services.relay.simulator.process import run
from services.relay.simulator.settings import SimulatorSettings


def main(argv: list[str]) -> int:
    """Run a simulated relay as its settings file says; the exit code."""
    try:
        settings = load_settings(SimulatorSettings, settings_file("relay.simulator", argv))
    except GridLedgerError as error:
        return tell_error(error)
    return run(settings)


if __name__ == "__main__":
    run_and_end(main)
