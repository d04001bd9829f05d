"""``python -m services.ca --config FILE``: runs the certificate authorities."""

from __future__ import annotations

import sys

from gridledger.web import run_service
from services.ca.app import open_server
from services.ca.settings import CASettings


def main(argv: list[str]) -> int:
    """Run the certificate authorities; the exit code."""
    return run_service("ca", CASettings, open_server, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
