"""``python -m services.rest --config FILE``: runs the REST bridge."""

from __future__ import annotations

import sys

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.rest.app import open_server
from services.rest.settings import RestSettings


def main(argv: list[str]) -> int:
    """Run the bridge; the exit code."""
    startup.imports_are_done()
    return run_service("rest", RestSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
