"""``python -m services.peer --config FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gridledger.errors import GridLedgerError
from gridledger.logs import setup
from gridledger.web import run
from services.peer.app import serve_peer
from services.peer.settings import load


def main(argv: list[str]) -> int:
    """Run one peer; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.peer", description="Run a peer of GridLedger.")
    parser.add_argument("--config", type=Path, required=True, help="the peer's settings, a JSON file")
    try:
        settings = load(parser.parse_args(argv).config)
    except GridLedgerError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 1
    setup("peer", settings.name, settings.log_level)
    return run(serve_peer(settings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
