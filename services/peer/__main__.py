"""``python -m services.peer --config FILE``: runs one peer."""

from __future__ import annotations

import sys

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.peer.app import open_server
from services.peer.settings import PeerSettings


def main(argv: list[str]) -> int:
    """Run one peer; the exit code."""
    startup.imports_are_done()
    return run_service("peer", PeerSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
