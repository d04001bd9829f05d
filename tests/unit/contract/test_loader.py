"""Importing chaincode folders as they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.contract import Context, Contract, transaction
from gridledger.contract.loader import Chaincode, ChaincodeLoadError, load
from gridledger.contract.simulator.simulator import Simulator

HEAD = "from gridledger.contract import Contract, transaction\n"
ONE = HEAD + "class One(Contract):\n    @transaction\n    def one(self, ctx): return __name__.split('.')[-1], 1\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_contract_py_is_the_main_module_with_or_without_an_init(tmp_path: Path) -> None:
    for folder in (
        write(tmp_path / "without", contract=ONE),
        write(tmp_path / "with", contract=ONE, __init__="x = 1\n"),
    ):
        assert Simulator(folder).invoke("one").payload == ["contract", 1]


def test_an_init_alone_will_do(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", __init__=HEAD + "from .part import One\n", part=ONE)
    assert Simulator(folder).invoke("one").payload == ["part", 1]


def test_two_folders_of_one_name_do_not_meet(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / place / "same", contract=ONE.replace(", 1\n", f", {number}\n"), part=f"x = {number}")
        for place, number in (("a", "10"), ("b", "20"))
    ]
    assert [Simulator(folder).invoke("one").payload[1] for folder in folders] == [10, 20]


def test_several_contracts_serve_as_one(tmp_path: Path) -> None:
    two = ONE.replace("One", "Two").replace("one", "two")
    folder = write(tmp_path / "a", contract=ONE + two)
    assert sorted(load(folder).functions) == ["one", "two"]


def test_a_base_class_beside_its_subclass_is_no_second_contract(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", contract=ONE + "class Sub(One):\n    pass\nclass Bare(Contract):\n    pass\n")
    chaincode = load(folder)
    assert [type(contract).__name__ for contract in chaincode.contracts] == ["Sub"]


def test_a_contract_imported_from_elsewhere_is_not_served(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", contract="from gridledger.contract import Contract\n")
    with pytest.raises(ChaincodeLoadError, match="no subclass of Contract"):
        load(folder)


def test_the_authors_exception_is_the_cause(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", contract="1 / 0\n")
    with pytest.raises(ChaincodeLoadError, match="ZeroDivisionError") as caught:
        load(folder)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("x = 1\n1 / 0\n", "part.py, line 2: ZeroDivisionError: division by zero"),
        ("import nowhere\n", "part.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("\nx = (\n", "part.py, line 2: SyntaxError: '(' was never closed"),
        ("from .other import x\n", "part.py, line 1: ModuleNotFoundError: No module named 'same.other'"),
        ("from . import x\n", "part.py, line 1: ImportError: cannot import name 'x' from 'same' (__init__.py)"),
        ("raise SystemExit(3)\n", "part.py, line 1: SystemExit: 3"),
        ("import json\njson.loads('{')", "part.py, line 2: JSONDecodeError: Expecting property name"),
        ("raise ValueError\n", "part.py, line 1: ValueError"),
        ("raise ValueError('a\\nb\\x1b[31m')\n", "part.py, line 1: ValueError: a b [31m"),
        ("class E(Exception):\n    def __str__(self): raise self\nraise E\n", "part.py, line 3: E"),
        ("raise ValueError('x' * 10_000)\n", "part.py, line 1: ValueError: xxx"),
    ],
)
def test_an_error_names_its_place_in_the_package(tmp_path: Path, part: str, says: str) -> None:
    folder = write(tmp_path / "same", __init__="", contract="from . import part\n", part=part)
    with pytest.raises(ChaincodeLoadError) as caught:
        load(folder)
    message = caught.value.message
    assert message.startswith(says)
    assert len(message) <= 300
    assert "\n" not in message
    assert str(tmp_path) not in message


def test_a_contract_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", contract=ONE + "    def __init__(self): raise ValueError('no')\n")
    with pytest.raises(ChaincodeLoadError, match=r"^contract\.py, line 5: ValueError: no$"):
        load(folder)


def test_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ChaincodeLoadError, match="is not a folder"):
        load(tmp_path / "nowhere")


def test_contracts_of_one_package_may_not_share_a_function() -> None:
    class Anything(Contract):
        @transaction
        def run(self, ctx: Context) -> None: ...

    class Other(Contract):
        @transaction(name="run")
        def other(self, ctx: Context) -> None: ...

    with pytest.raises(ChaincodeLoadError, match="'run' is in Anything and in Other"):
        Chaincode([Anything(), Other()])
