"""``make first-hour``: README's path from a fresh clone to a proved transaction of one's own, with seconds a step.

Fails where a command of README fails, or where what comes after the installation takes longer than a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.processes import REPOSITORY
from tests.support.readme_path import Step, environment, move_ports, walk

AT_MOST_S = 60.0
_WITHIN_S = 1800.0


def main() -> int:
    """Clone, walk, tell; the exit code."""
    with tempfile.TemporaryDirectory(prefix="gridledger-first-hour-") as made:
        clone = Path(made) / "gridledger"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        move_ports(clone)
        steps = walk(clone, environment=environment(), within_s=_WITHIN_S)
    for step in steps:
        print(f"{step.seconds:7.1f} s  {step.command}")
    return _judge(steps)


def _judge(steps: list[Step]) -> int:
    installation, *others = steps
    if steps[-1].code:
        print(f"failed with exit code {steps[-1].code}:\n{steps[-1].output}", file=sys.stderr)
        return 1
    took_s = sum(step.seconds for step in others)
    print(f"{took_s:7.1f} s  after the installation of {installation.seconds:.0f} s (at most {AT_MOST_S:g} s)")
    return 0 if took_s <= AT_MOST_S else 1


if __name__ == "__main__":
    sys.exit(main())
