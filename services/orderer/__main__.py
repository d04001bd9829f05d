"""``python -m services.orderer --config FILE``: runs one orderer."""

from __future__ import annotations

import sys

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.orderer.app import open_server
from services.orderer.settings import OrdererSettings


def main(argv: list[str]) -> int:
    """Run one orderer; the exit code."""
    startup.imports_are_done()
    return run_service("orderer", OrdererSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
