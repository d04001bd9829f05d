"""``python -m services.vault.base --config FILE``: the vault's base as a companion of a network."""

from __future__ import annotations

import sys

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.vault.base.app import open_base
from services.vault.base.settings import BaseSettings


def main(argv: list[str]) -> int:
    """Run the base as its settings file says; the exit code."""
    startup.imports_are_done()
    return run_service("vault-base", BaseSettings, open_base, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
