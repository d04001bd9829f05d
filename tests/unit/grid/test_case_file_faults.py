"""Files that hold no usable case: the message names the table and the row; nothing but our error ever leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from gridledger.errors import GridLedgerError
from gridledger.grid.case import PQ, Case, load_case, read_case
from gridledger.grid.case_files.pandapower_net import tables_of_net_text
from gridledger.grid.case_files.tables import CaseFileError
from gridledger.grid.islands import islands
from tests.support.case_files import case_text, changed
from tests.support.examples import examples

CASE14 = case_text("case14")


def refusal(folder: Path, content: str | bytes, name: str = "mine.m") -> str:
    """The message of the error that a file of this content raises."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(CaseFileError) as error:
        load_case(str(path))
    assert error.value.code == "CASE_FILE"
    return str(error.value)


VERSION_1 = (
    CASE14.replace("mpc.version = '2';", "")
    .replace("mpc.", "")
    .replace("function mpc = case14", "function [baseMVA, bus, gen, branch, areas, gencost] = case14")
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CASE14.replace("mpc.version = '2'", "mpc.version = '1'"), "mpc.version = '1'"),
        (CASE14.replace("mpc.version = '2'", "mpc.version = 1"), "mpc.version = 1"),
        (VERSION_1, "function [baseMVA"),
        (VERSION_1.replace("function [baseMVA, bus, gen, branch, areas, gencost] = case14", ""), "baseMVA = 100"),
    ],
)
def test_version_1_of_matpower_s_format_is_refused(tmp_path: Path, text: str, line: str) -> None:
    number = next(number for number, found in enumerate(text.splitlines(), start=1) if found.startswith(line))
    told = refusal(tmp_path, text)
    assert f"mine: line {number}: this is version 1 of MATPOWER's case format, and only version 2 is read" in told
    assert "savecase('mine_2.m', loadcase('mine.m'))" in told


@pytest.mark.parametrize("version", ["", "mpc.version = '2.0';", 'mpc.version = "2";', "% mpc.version = '1';"])
def test_version_2_is_read_however_it_is_stated(tmp_path: Path, version: str) -> None:
    path = tmp_path / "mine.m"
    path.write_text(CASE14.replace("mpc.version = '2';", version))
    assert len(load_case(str(path)).numbers) == 14


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("bus", 5, 1), "4", "row 5 of bus: bus 4 is in row 4 already"),
        (("bus", 5, 1), "5.5", "row 5 of bus: 5.5 is no bus number"),
        (("bus", 5, 1), "-5", "row 5 of bus: -5 is no bus number"),
        (("bus", 5, 2), "7", "row 5 of bus: bus 5 is of type 7"),
        (("bus", 5, 3), "NaN", "row 5 of bus: PD is nan"),
        (("bus", 5, 8), "Inf", "row 5 of bus: VM is inf"),
        (("bus", 5, 3), "much", "row 5 of bus: PD is no number: 'much'"),
        (("bus", 5, 3), "1 2", "row 5 of bus has 14 columns"),
        (("bus", 1, 2), "2", "of type 3, the reference, there is no bus"),
        (("bus", 2, 2), "3", "of type 3, the reference, there are buses 1, 2"),
        (("gen", 1, 8), "0", "the reference bus 1 has no generator in service"),
        (("gen", 2, 1), "20", "row 2 of gen: is at bus 20, which is not in the table bus"),
        (("gen", 2, 6), "NaN", "row 2 of gen: VG is nan"),
        (("gen", 2, 6), "0", "the generator at bus 2 has the voltage set-point 0"),
        (("gen", 2, 5), "60", "the generator at bus 2 has QMIN 60 above QMAX 50"),
        (("branch", 3, 2), "20", "row 3 of branch: ends at bus 20, which is not in the table bus"),
        (("branch", 3, 2), "2", "branch 2-2 joins a bus to itself"),
        (("branch", 3, 4), "NaN", "row 3 of branch: BR_X is nan"),
        # Its only branch: 7-8.
        (("branch", 14, 11), "0", "falls into 2 islands, with the buses 1, 8"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, place: tuple[str, int, int], value: str, message: str) -> None:
    assert message in refusal(tmp_path, changed(CASE14, place, value))


def test_a_branch_without_impedance_is_named(tmp_path: Path) -> None:
    text = changed(changed(CASE14, ("branch", 3, 3), "0"), ("branch", 3, 4), "0")
    assert "branch 2-3 has r = x = 0: join the two buses into one" in refusal(tmp_path, text)


@pytest.mark.parametrize("value", ["0", "-100", "NaN", "Inf"])
def test_a_base_that_is_not_above_0_is_refused(tmp_path: Path, value: str) -> None:
    text = CASE14.replace("mpc.baseMVA = 100", f"mpc.baseMVA = {value}")
    assert "baseMVA is missing or not above 0" in refusal(tmp_path, text)


@pytest.mark.parametrize("part", ["baseMVA", "bus", "gen", "branch"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    assert f"there is no mpc.{part} =" in refusal(tmp_path, CASE14.replace(f"mpc.{part} =", f"mpc.x{part} ="))


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    text = re.sub(r"mpc\.gen = \[.*?\];", "mpc.gen = [\n];", CASE14, flags=re.DOTALL)
    assert "the table gen is empty" in refusal(tmp_path, text)


def test_a_file_that_computes_is_refused_with_its_line(tmp_path: Path) -> None:
    """MATPOWER's distribution cases convert kW and ohms behind their tables: read plainly they were another grid."""
    text = f"{CASE14}\nmpc.branch(:, [3 4]) = mpc.branch(:, [3 4]) / 10;\n"
    line = text.count("\n")
    assert f"line {line} computes with mpc.branch, which needs MATLAB" in refusal(tmp_path, text)
    assert f"line {line} sets mpc.baseMVA a second time" in refusal(tmp_path, f"{CASE14}\nmpc.baseMVA = 1;\n")


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "is no case file: its name ends in .m, .mat, .xlsx, .json" in refusal(tmp_path, "", "case.txt")
    with pytest.raises(CaseFileError, match="there is no file"):
        load_case(str(tmp_path / "away.m"))
    assert "no MATLAB file that can be read" in refusal(tmp_path, "nothing", "mine.mat")
    assert "no workbook that can be read" in refusal(tmp_path, "nothing", "mine.xlsx")
    assert "not a JSON text" in refusal(tmp_path, "{", "mine.json")
    assert "neither a pandapower net nor a case" in refusal(tmp_path, "[]", "mine.json")
    assert "nor a case in the built-in form: it has no 'base_mva'" in refusal(tmp_path, "{}", "mine.json")
    assert "cannot be read" in refusal(tmp_path, "nothing", "mine.m.gz")
    other = json.dumps({"_module": "builtins", "_class": "list", "_object": {}})
    assert "a pandapower object, but no net" in refusal(tmp_path, other, "mine.json")
    with pytest.raises(CaseFileError, match="pandapower cannot"):
        tables_of_net_text("mine", {"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": {}})
    savemat(tmp_path / "case.mat", {"mpc": {"baseMVA": 100.0, "bus": [[1.0]]}})
    assert "there is no gen and no branch in it" in refusal(tmp_path, (tmp_path / "case.mat").read_bytes(), "mine.mat")


def test_the_built_in_form_goes_through_the_same_checks() -> None:
    form = {
        "base_mva": 100,
        "reference_angle": 0,
        "buses": [[1, 3, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]],
        "branches": [[1, 2, 0, 0.1, 0, 0, 0]],
        "generators": [[1, 0, 1]],
    }
    with pytest.raises(CaseFileError, match="row 2 of bus: bus 1 is in row 1 already"):
        read_case("mine", form)


VALUES = st.sampled_from(
    ["NaN", "Inf", "-1", "0", "1e400", "x", "", "4", "1 2", ";", "];", "[", "%", "'", "mpc.bus", "1,5"]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of case14 after a few changes: to values, lines, or any stretch of it."""
    text = CASE14
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["value", "line", "cut", "insert"]))
        if kind == "value":
            places = [match.span() for match in re.finditer(r"(?<=[\t ])-?\d[\d.]*", text)]
            if not places:
                continue
            begin, end = draw(st.sampled_from(places))
            text = text[:begin] + draw(VALUES) + text[end:]
        elif kind == "line":
            lines = text.splitlines(keepends=True) or [""]
            at = draw(st.integers(0, len(lines) - 1))
            lines[at : at + 1] = lines[at : at + 1] * draw(st.sampled_from([0, 2, 3]))
            text = "".join(lines)
        elif kind == "cut":
            begin = draw(st.integers(0, len(text)))
            text = text[:begin] + text[begin + draw(st.integers(1, 400)) :]
        else:
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.one_of(VALUES, st.text(max_size=8))) + text[at:]
    return text


def assert_usable(case: Case) -> None:
    """A power flow can be run on it."""
    assert len(islands(len(case.numbers), case.branches.f, case.branches.t)) == 1
    assert (abs(case.branches.r) + abs(case.branches.x) > 0).all()
    assert (case.kind[case.generators.bus] != PQ).all()
    assert len(case.digest) == 64


@settings(max_examples=examples(300), deadline=None)
@given(text=mutated())
def test_a_mutated_file_is_a_case_or_our_error(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.m"
    path.write_text(text, errors="surrogatepass")
    try:
        assert_usable(load_case(str(path)))
    except GridLedgerError as error:
        assert error.code == "CASE_FILE"  # noqa: PT017 -- either is right


@settings(max_examples=examples(150), deadline=None)
@given(kind=st.sampled_from([".m", ".json", ".m.gz"]), data=st.binary(max_size=300))
def test_any_bytes_are_our_error(kind: str, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes{kind}"
    path.write_bytes(data)
    with pytest.raises(CaseFileError):
        load_case(str(path))


@pytest.mark.parametrize("rows", [["12345678"], [[[1]] * 8], [{"a": 1}], {"0": [1] * 8}, [[None] * 8], "12345678"])
def test_rows_that_are_none_are_refused(tmp_path: Path, rows: object) -> None:
    whole = {"base_mva": 100, "reference_angle": 0, "generators": [[1, 1, 0]], "branches": [[1, 2, 0, 1, 0, 0, 0]]}
    assert "mine: " in refusal(tmp_path, json.dumps(whole | {"buses": rows}), "mine.json")
