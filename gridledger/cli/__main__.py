"""``python -m gridledger.cli``: the command ``gridledger``."""

from __future__ import annotations

import sys

from gridledger.cli import main

if __name__ == "__main__":
    sys.exit(main())
