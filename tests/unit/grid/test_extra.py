"""The package without the extra ``feeder``: one error of our tree that says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

_MAKE_POWER_FLOW = "from gridledger.grid.case import load_case; PowerFlow(load_case('case30'))"
_TRY = """
import sys
sys.modules[{package!r}] = None  # so Python answers to an import of what is not installed
from gridledger.errors import GridLedgerError
try:
    {statement}
except GridLedgerError as error:
    print(error.code, error.message)
"""


@pytest.mark.parametrize(
    ("package", "statement"),
    [
        ("numpy", "import gridledger.grid.case"),
        ("pandapower", f"from gridledger.grid.power_flow import PowerFlow; {_MAKE_POWER_FLOW}"),
    ],
)
def test_a_missing_package_is_named_with_its_installation(package: str, statement: str) -> None:
    program = _TRY.format(package=package, statement=statement)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"MISSING_EXTRA gridledger.grid needs {package}, which is not installed"), done.stderr
    assert "pip install 'gridledger[feeder]'" in done.stdout
