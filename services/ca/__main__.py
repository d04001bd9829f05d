"""``python -m services.ca --config FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gridledger import logs
from gridledger.errors import GridLedgerError
from gridledger.web import run
from services.ca.app import main
from services.ca.settings import load


def start(argv: list[str]) -> int:
    """Parse the command line and run; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.ca", description="GridLedger's certificate authorities")
    parser.add_argument("--config", type=Path, required=True, help="the settings file (JSON)")
    options = parser.parse_args(argv)
    try:
        settings = load(options.config)
    except GridLedgerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    logs.setup("ca", settings.name, settings.log_level)
    return run(main(settings))


if __name__ == "__main__":
    sys.exit(start(sys.argv[1:]))
