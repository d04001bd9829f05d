"""``python -m services.case.serving --config FILE``: the case desk as a companion of a network."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gridledger import startup  # before the others: it is about their import
from gridledger.web import run_service
from services.case.serving.app import open_desk
from services.case.serving.settings import DeskSettings


def main(argv: Sequence[str]) -> int:
    """Run the desk as its settings file says; the exit code."""
    startup.imports_are_done()
    return run_service("case-desk", DeskSettings, open_desk, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
