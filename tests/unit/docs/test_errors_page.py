"""docs/errors.md has each code of the error tree and each validation code, and a test provokes each of them."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest

import gridledger
import services
from gridledger import errors
from gridledger.errors import GridLedgerError
from gridledger.ledger import validation, world
from gridledger.protocol.codes import TxValidationCode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/errors.md").read_text()
ROW = re.compile(r"^\| `([A-Z_0-9]+)` \| (\d+) \| (.*) \|$", re.MULTILINE)
VALIDATION, _, OTHERS = PAGE.partition("## A transaction\n")
NEVER_RAISED = {"IDENTITY_REFUSED", "TRANSACTION_FAILED"}
"""What several errors have in common."""
SEEN_BY_MESSAGE = {
    "COMMITTER_FAILED": ("tests/integration/test_command.py", "ended with exit code 1: the committer of"),
    "PROCESS_ENDED": ("tests/integration/test_command.py", "; the network is being stopped ("),
    "SOURCE_LOST": ("tests/unit/peer/committer/test_source.py", "it delivered block 3 where 2 follows"),
    "UNSUPPORTED_SYSTEM": ("tests/unit/test_any_system.py", "needs a POSIX system such as Linux"),
}
"""Codes of another process's errors, which tests know by what it printed: the test's file, and the message."""


@cache
def error_classes() -> dict[str, type[GridLedgerError]]:
    """Every class of the tree by its code."""
    for package in (gridledger, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    # Others may know of errors that are not the library's: benchmarks and tests have their own.
    ours = (gridledger.__name__, services.__name__)
    return {code: kind for code, kind in errors._BY_CODE.items() if kind.__module__.partition(".")[0] in ours}


@cache
def texts_of_tests() -> str:
    """All tests but this one, without their imports: where a code or its class is spoken of."""
    files = [file for file in sorted((ROOT / "tests").rglob("*.py")) if file != Path(__file__)]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("from ", "import ")))


def test_the_page_has_every_code_with_its_status() -> None:
    shown = {code: int(status) for code, status, _ in ROW.findall(OTHERS)}
    assert shown == {code: kind.status for code, kind in error_classes().items()}


def test_each_code_is_provoked_by_a_test() -> None:
    words = set(re.findall(r"\w+", texts_of_tests()))
    by_code = {code for code, kind in error_classes().items() if words & {code, kind.__name__}}
    by_message = {code for code, (file, said) in SEEN_BY_MESSAGE.items() if said in (ROOT / file).read_text()}
    assert set(error_classes()) - by_code - by_message <= NEVER_RAISED


def given_by_the_ledger() -> set[str]:
    """The validation codes that the ledger's code names."""
    text = Path(validation.__file__).read_text() + Path(world.__file__).read_text()
    return set(re.findall(r"TxValidationCode\.([A-Z_]+)", text))


def test_the_page_has_every_validation_code() -> None:
    shown = {code: int(number) for code, number, _ in ROW.findall(VALIDATION)}
    assert shown == {code: int(TxValidationCode[code]) for code in given_by_the_ledger()}


def test_each_validation_code_is_provoked_by_a_test() -> None:
    verdicts = (ROOT / "tests/unit/ledger/test_committer.py").read_text() + texts_of_tests()
    assert given_by_the_ledger() <= set(re.findall(r"\bCode\.(\w+)", verdicts))


@pytest.mark.parametrize("section", [VALIDATION, OTHERS])
def test_each_row_says_what_it_means_and_what_to_do(section: str) -> None:
    for code, _, rest in ROW.findall(section):
        means, *others = [cell.strip() for cell in rest.split("|")]
        assert means, code
        assert len(others) == 2, code
