"""``python -m services.vault.holding --config FILE``: a process of holders, the companion kind ``vault-holder``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.vault.app import open_server
from services.vault.settings import HolderSettings


def main(argv: Sequence[str]) -> int:
    """Run the process; its exit code."""
    startup.imports_are_done()
    return run_service("vault.holding", HolderSettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
