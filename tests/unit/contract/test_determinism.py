"""What authors are warned of, and what they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.contract.determinism import DeterminismWarning, check_package
from tests.support.processes import REPOSITORY


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
        ("import numpy as np", "imports numpy: its sums and functions differ from one processor"),
        ("import math\nx = math.sin(1)", "2: math.sin: its last digit differs"),
        ("import math as m\nx = map(m.exp, [1])", "2: math.exp"),
        ("from math import sqrt, atan2", "1: math.atan2"),
        ("import cmath", "imports cmath: its last digit"),
        ("x = y ** 0.5", "** of a float: its last digit"),
        ("x = y ** -1.5", "** of a float"),
        ("x = sum(y)", "sum(): it adds floats otherwise from Python 3.12 on"),
        ("x = sum(0.5 for y in z)", "sum()"),
        ("x = sum(y.kwh for y in z)", "sum()"),
        ("x = open('a')", "open(): a contract sees"),
        ("x = '\\d'\nimport time", "imports time"),
    ],
)
def test_doubtful(tmp_path: Path, source: str, found: str) -> None:
    (tmp_path / "contract.py").write_text(source)
    (warning,) = check_package(tmp_path)
    assert warning.file == "contract.py"
    assert found in str(warning)


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
        "import math\nx = math.sqrt(2) + math.floor(1.5) + math.fsum([1.0])\ny = mine.sin(1)",
        "from math import sqrt, isfinite",
        "x = 2 ** 53 + y ** 2",
        "ctx.open('a')",
        "x = sum(1 for y in z) + sum([len(y) for y in z])",
        "def sum(x): return 1\ny = sum(x)",
        "def f(:",
    ],
)
def test_harmless(tmp_path: Path, source: str) -> None:
    (tmp_path / "contract.py").write_text(source)
    assert check_package(tmp_path) == []


def test_all_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "contract.py").write_text("\nimport time\nimport time\n")
    (tmp_path / "inner" / "part.py").write_text("import random\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "other.py").write_text("import random\n")
    why = "a contract's only clock is ctx.stub.get_tx_timestamp()"
    clock = DeterminismWarning("contract.py", 2, "imports time", why)
    found = check_package(tmp_path)
    assert found[0] == clock
    assert [(each.file, each.line) for each in found] == [
        ("contract.py", 2),
        ("contract.py", 3),
        ("inner/part.py", 1),
    ]
    assert str(clock) == f"contract.py:2: imports time: {why}"


def test_the_chaincodes_of_the_house_have_no_doubtful_place() -> None:
    folders = sorted(path.parent for path in (REPOSITORY / "chaincode").rglob("contract.py"))
    assert {folder.name for folder in folders} >= {"dvs", "kv"}
    assert [str(warning) for folder in folders for warning in check_package(folder)] == []
