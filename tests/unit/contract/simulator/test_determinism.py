"""What authors are warned of, and what they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.contract.simulator.determinism import findings


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "imports time: a contract's only clock is"),
        ("from random import random", "imports random: every peer would draw"),
        ("import os, json", "imports os: a contract sees"),
        ("import urllib.request", "imports urllib.request"),
        ("from threading import Thread", "imports threading: the order"),
        ("from datetime import datetime\nx = datetime.now()", "2: datetime.now(): a contract's only clock"),
        ("import datetime\nx = datetime.date.today()", "2: date.today()"),
        ("x = hash('a')", "hash(): the hash of a string differs"),
        ("for x in {1, 2}: pass", "iterates over a set"),
        ("x = [y for y in set('ab')]", "iterates over a set"),
        ("def f():\n    import uuid", "2: imports uuid"),
    ],
)
def test_doubtful(tmp_path: Path, source: str, found: str) -> None:
    (tmp_path / "contract.py").write_text(source)
    (line,) = findings(tmp_path)
    assert line.startswith("contract.py:")
    assert found in line


@pytest.mark.parametrize(
    "source",
    [
        "import math, json, dataclasses, decimal, fractions, hashlib, pathlib, datetime",
        "from urllib.parse import quote",
        "from .time import x",
        "from . import random",
        "x = sorted({1, 2})",
        "x = 1 in {1, 2}",
        "def hash(x): return 1\ny = hash(2)",
        "clock.now()",
        "def f(:",
    ],
)
def test_harmless(tmp_path: Path, source: str) -> None:
    (tmp_path / "contract.py").write_text(source)
    assert findings(tmp_path) == []


def test_all_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "contract.py").write_text("\nimport time\nimport time\n")
    (tmp_path / "inner" / "part.py").write_text("import random\n")
    assert [line.partition(": ")[0] for line in findings(tmp_path)] == [
        "contract.py:2",
        "contract.py:3",
        "inner/part.py:1",
    ]
