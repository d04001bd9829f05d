"""``python -m benchmarks.console``: the short name of benchmarks.commands.console."""

from __future__ import annotations

import sys

from benchmarks.commands.console import main

if __name__ == "__main__":
    sys.exit(main())
