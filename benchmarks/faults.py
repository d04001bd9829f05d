"""``python -m benchmarks.faults``: the short name of benchmarks.commands.faults."""

from __future__ import annotations

import sys

from benchmarks.commands.faults import main

if __name__ == "__main__":
    sys.exit(main())
