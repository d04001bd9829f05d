"""``python -m benchmarks.anchors``: the short name of benchmarks.commands.anchors."""

from __future__ import annotations

import sys

from benchmarks.commands.anchors import main

if __name__ == "__main__":
    sys.exit(main())
