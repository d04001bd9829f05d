"""``python -m benchmarks.core_time``: the short name of benchmarks.commands.core_time."""

from __future__ import annotations

import sys

from benchmarks.commands.core_time import main

if __name__ == "__main__":
    sys.exit(main())
