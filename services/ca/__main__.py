"""``python -m services.ca --config FILE``: runs the certificate authorities."""

from __future__ import annotations

import sys
from functools import partial

from gridledger import startup  # before the others: it is about their import
from gridledger.settings import load_settings
from gridledger.web import run_service, settings_file
from services.ca.app import open_server
from services.ca.settings import CASettings


def main(argv: list[str]) -> int:
    """Run the certificate authorities; the exit code."""

    def reread() -> CASettings:
        return load_settings(CASettings, settings_file("ca", argv))

    startup.imports_are_done()
    return run_service("ca", CASettings, partial(open_server, reread=reread), argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
