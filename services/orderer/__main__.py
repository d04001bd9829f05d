"""``python -m services.orderer --config FILE``: run one orderer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gridledger import logs
from gridledger.errors import GridLedgerError
from gridledger.settings import load_settings
from gridledger.web import run
from services.orderer.app import serve_orderer
from services.orderer.settings import OrdererSettings


def main() -> int:
    """Read the settings and serve; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.orderer", description="Run one orderer.")
    parser.add_argument("--config", type=Path, required=True, help="the orderer's settings (JSON)")
    try:
        settings = load_settings(OrdererSettings, parser.parse_args().config)
    except GridLedgerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    logs.setup("orderer", settings.name, settings.log_level)
    return run(serve_orderer(settings))


if __name__ == "__main__":
    sys.exit(main())
