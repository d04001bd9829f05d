"""``gridledger simulate`` from its arguments to its exit code, on real folders, files and processes."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson
import pytest

from gridledger.contract.simulator import cli as simulate

CONTRACT = """
from gridledger.contract import Context, Contract, ContractError, transaction

from .sums import add


class Counter(Contract):
    @transaction(name="Add")
    def add(self, ctx: Context, name, amount=1):
        if not isinstance(amount, int) or amount < 0:
            raise ContractError(f"amount must be an integer of 0 or more, not {amount!r}")
        total = add(ctx.stub.get_state(name) or 0, amount)
        ctx.stub.put_state(name, total)
        ctx.stub.set_event("Added", {"name": name})
        return {"total": total}

    @transaction(readonly=True)
    def history(self, ctx: Context, name):
        return [[item.value, item.timestamp_us] for item in ctx.stub.get_history_for_key(name)]

    @transaction
    def fail(self, ctx: Context):
        ctx.stub.put_state("x", 1)
        return 1 / 0

    @transaction
    def half(self, ctx: Context, kwh: float):
        return kwh / 2

    @transaction
    def echo(self, ctx: Context, value):
        return value

    @transaction
    def planner(self, ctx: Context):
        ctx.client_identity.assert_attribute_value("grid.role", "planner")
        return ctx.client_identity.get_mspid()
"""


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        assert self.code == 0, self.err
        return orjson.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A chaincode folder without __init__.py, not installed anywhere."""
    chaincode = tmp_path / "counter"
    chaincode.mkdir()
    (chaincode / "contract.py").write_text(CONTRACT)
    (chaincode / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    return chaincode


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def run(folder: Path, state: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    def call(*arguments: str) -> Outcome:
        code = simulate.main([str(folder), "--state", str(state), *arguments])
        out, err = capsysbinary.readouterr()
        return Outcome(code, out.decode(), err.decode())

    return call


def test_the_answer_has_its_five_members(run: Run) -> None:
    assert run("Add", '"a"', "5").answer == {
        "status": 200,
        "payload": {"total": 5},
        "event": {"name": "Added", "payload": {"name": "a"}},
        "reads": {"a": None},
        "writes": {"a": 5},
    }
    assert run("Add", '"a"', "2").answer["reads"] == {"a": [1, 0]}
    assert run("Add", '"a"').answer["payload"] == {"total": 8}


def test_the_answer_is_one_line(run: Run) -> None:
    assert run("echo", '"a\\nb"').out.count("\n") == 1


def test_the_state_is_created_kept_and_readable(run: Run, state: Path) -> None:
    run("Add", '"a"', "5")
    run("Add", '"b"', "6")
    assert orjson.loads(state.read_bytes())["state"] == {"a": 5, "b": 6}


def test_a_query_creates_the_state_and_then_leaves_it_alone(run: Run, state: Path) -> None:
    assert run("history", '"a"').answer["payload"] == []
    before = (state.read_bytes(), state.stat().st_ino)
    assert run("history", '"a"').answer["payload"] == []
    assert (state.read_bytes(), state.stat().st_ino) == before


def test_history_lies_in_the_state_and_the_clock_can_too(run: Run, state: Path) -> None:
    state.write_text('{"clock_us": 1700000000000000, "state": {"a": 1}}')
    run("Add", '"a"', "1")
    assert run("history", '"a"').answer["payload"] == [[2, 1700000000000000], [1, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Add", '"a"', "-5"], "status 400: amount must be an integer of 0 or more, not -5"),
        (["Add", '"a"', "1e-3"], "not 0.001"),
        (["half", '"x"'], 'status 400: kwh: must be a number (float), not "x"'),
        (["Add"], "Add takes (name, amount), 0 argument(s)"),
        (["add", '"a"'], "there is no function 'add'"),
        (["fail"], "status 500: ZeroDivisionError"),
        (["echo", '{"a": 1, "a": 2}'], "argument 1: the member name 'a' comes twice"),
        (["echo", "NaN"], "argument 1: not a JSON text"),
        (["echo", "-Infinity"], "argument 1: not a JSON text"),
        (["echo", "1e400"], "argument 1: not a JSON text"),
        (["echo", "[1" + "0" * 400 + "]"], "argument 1: not a JSON text"),
        (["Add", '"a"', "five"], "argument 2: not a JSON text"),
        (["echo", "pump-7"], "(char 0); a text is written '\"pump-7\"'"),
        (["echo", ""], "argument 1: not a JSON text"),
        (["echo", "@/nowhere/at.all"], "argument 1:"),
        (["echo", "\udcff"], "argument 1: not a JSON text"),
    ],
)
def test_a_refusal_goes_to_standard_error_and_changes_nothing(
    run: Run, state: Path, arguments: list[str], message: str
) -> None:
    run("Add", '"a"', "5")
    before = (state.read_bytes(), state.stat().st_ino)
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert message in outcome.err
    assert (state.read_bytes(), state.stat().st_ino) == before


def test_a_refusal_does_not_create_a_state(run: Run, state: Path, tmp_path: Path) -> None:
    assert run("fail").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter"]


def test_a_failure_shows_the_author_where(run: Run) -> None:
    assert "return 1 / 0" in run("fail").err


def test_an_argument_from_a_file_and_one_from_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "value.json").write_text('{"x": [1.5]}\n')
    assert run("echo", f"@{tmp_path / 'value.json'}").answer["payload"] == {"x": [1.5]}
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b' {"y": 2} ')))
    assert run("echo", "-").answer["payload"] == {"y": 2}
    (tmp_path / "value.json").write_text('{"x": 1, "x": 2}')
    assert "comes twice" in run("echo", f"@{tmp_path / 'value.json'}").err


@pytest.mark.parametrize("text", ["-5", "-1e-3", "-0.5", '"--state"', '"@x"', "null", "true", "[]", '"é"', "0.1"])
def test_arguments_that_look_like_options_or_files(run: Run, text: str) -> None:
    assert run("echo", text).answer["payload"] == orjson.loads(text)


def test_the_author_is_warned_of_what_differs_between_peers(run: Run, folder: Path) -> None:
    (folder / "sums.py").write_text("import time\ndef add(a, b):\n    return a + b\n")
    outcome = run("Add", '"a"', "1")
    assert outcome.answer["payload"] == {"total": 1}
    assert "warning: sums.py:1: imports time" in outcome.err


def test_the_caller_has_all_attributes(run: Run) -> None:
    assert run("planner").answer["payload"] == "SimulateMSP"
    assert run("--mspid", "Org1MSP", "planner").answer["payload"] == "Org1MSP"
    assert run("planner", "--mspid=Org2MSP").answer["payload"] == "Org2MSP"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dir"],
        ["dir", "f"],
        ["dir", "--state"],
        ["dir", "f", "--state=s", "--mspid"],
        ["dir", "f", "--state=s", "--mspid="],
        ["dir", "f", "--x", "--state=s"],
    ],
)
def test_wrong_usage_is_told_from_a_refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(arguments) == 2
    assert "usage: gridledger simulate" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate.main(["--help"]) == 0
    assert "CHAINCODE_DIR --state STATE.json" in capsys.readouterr().out


def test_a_broken_state_file_is_left_as_it_is(run: Run, state: Path) -> None:
    for text, says in (
        ('{"state": {"a": 1}, ', "not a JSON text"),
        ('{"name": "x"}', "it has unknown members ['name']"),
    ):
        state.write_text(text)
        outcome = run("Add", '"a"')
        assert outcome.code == 1
        assert f"the state file {state} cannot be used: {says}" in outcome.err
        assert state.read_text() == text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("contract.py", "import nowhere_to_be_found", "ModuleNotFoundError"),
        ("contract.py", "def f(:", "SyntaxError"),
        ("contract.py", "x = 1", "no subclass of Contract"),
        ("other.py", "x = 1", "neither contract.py nor __init__.py"),
    ],
)
def test_a_folder_that_is_no_chaincode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / name).write_text(text)
    assert simulate.main([str(folder), "--state", str(tmp_path / "s.json"), "f"]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.json").exists()


def test_a_link_to_a_state_stays_a_link_and_rights_are_kept(run: Run, state: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    real.chmod(0o600)
    state.symlink_to(real)
    assert run("Add", '"a"').code == 0
    assert state.is_symlink()
    assert orjson.loads(real.read_bytes())["state"] == {"a": 1}
    assert real.stat().st_mode & 0o777 == 0o600


def test_runs_at_the_same_time_lose_nothing(folder: Path, state: Path) -> None:
    """Whoever finds the state changed meanwhile is refused; what was answered is in the state."""
    command = [
        sys.executable,
        "-m",
        "gridledger.contract.simulator.cli",
        str(folder),
        "--state",
        str(state),
        "Add",
        '"a"',
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    outcomes = [(process.communicate(timeout=60), process.returncode) for process in running]
    answered = sum(code == 0 for _, code in outcomes)
    assert answered >= 1
    assert orjson.loads(state.read_bytes())["state"] == {"a": answered}
    for (_, error), code in outcomes:
        assert code == 0 or b"changed by another run" in error
    assert sorted(path.name for path in state.parent.iterdir()) == ["counter", "state.json"]


def test_it_imports_no_more_than_a_contract_needs() -> None:
    code = "import sys; from gridledger.cli import main; main(['simulate', '--help']); print('\\n'.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for heavy in ("asyncio", "cryptography", "lmdb", "fastapi", "aiohttp", "pydantic", "logging"):
        assert heavy not in modules
