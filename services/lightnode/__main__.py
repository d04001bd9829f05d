"""``python -m services.lightnode --config FILE``: a light node, the companion kind ``lightnode``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.lightnode.app import open_server
from services.lightnode.settings import LightNodeSettings


def main(argv: Sequence[str]) -> int:
    """Run the process; its exit code."""
    startup.imports_are_done()
    return run_service("lightnode", LightNodeSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
