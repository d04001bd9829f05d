"""Case files made to harm: texts that name modules, tables that are found elsewhere, and texts that take for ever."""

from __future__ import annotations

import copy
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pandapower as pp
import pytest
from pandapower.networks import case9

from gridledger.grid.case import load_case
from gridledger.grid.case_files.pandapower_net import tables_of_net_text
from gridledger.grid.case_files.tables import CaseFileError
from tests.support.case_files import case_text

CASE14 = case_text("case14")
FOREIGN = "foreign_module_of_a_case_file"
FOREIGN_OBJECT = {"_module": FOREIGN, "_class": "pandapowerNet", "_object": {}}
NET: dict[str, Any] = json.loads(pp.to_json(case9()))


def beside_the_net(net: dict[str, Any]) -> None:
    net["beside"] = FOREIGN_OBJECT


def instead_of_the_net(net: dict[str, Any]) -> None:
    net["_module"] = FOREIGN


def in_the_types_of_a_table(net: dict[str, Any]) -> None:
    net["_object"]["bus"]["dtype"]["name"] = FOREIGN_OBJECT


def beside_the_rows_of_a_table(net: dict[str, Any]) -> None:
    net["_object"]["bus"]["beside"] = [FOREIGN_OBJECT]


@pytest.mark.parametrize(
    "place", [beside_the_net, instead_of_the_net, in_the_types_of_a_table, beside_the_rows_of_a_table]
)
def test_no_module_that_a_net_names_is_imported(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{FOREIGN}.py").write_text("class pandapowerNet:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    net = copy.deepcopy(NET)
    place(net)
    try:
        tables_of_net_text("mine", net)  # here, not in a child, so that what is imported can be seen
    except CaseFileError as error:
        assert "holds objects" in str(error)  # noqa: PT017 -- to leave the object out is right, too
    assert sys.modules.pop(FOREIGN, None) is None


def test_a_table_of_a_longer_name_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.m"
    path.write_text(f"old_mpc.baseMVA = 1;\nold_mpc.branch = [1 2 3];\n{CASE14}")
    case = load_case(str(path))
    assert (case.base_mva, len(case.branches.f)) == (100.0, 20)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("end", ["%{\n" * 300_000, "." * 300_000])
def test_reading_takes_time_in_proportion_to_the_text(end: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.m"
    path.write_text(CASE14 + "\n" + end)
    assert len(load_case(str(path)).numbers) == 14


def test_block_comments_nest_and_may_stay_open(tmp_path: Path) -> None:
    path = tmp_path / "mine.m"
    path.write_text(f"%{{\nmpc.bus = [];\n%{{\n%}}\nmpc.bus = [];\n  %}}\n{CASE14}\n%{{\nmpc.bus = [];\n")
    assert len(load_case(str(path)).numbers) == 14


def test_too_many_rows_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.m"
    path.write_text(CASE14.replace("mpc.bus = [", "mpc.bus = [" + "1;" * 2_000_001))
    with pytest.raises(CaseFileError, match="more than 2000000 lines or rows"):
        load_case(str(path))


def test_a_damaged_gzip_file_is_our_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.m.gz"
    path.write_bytes(gzip.compress(CASE14.encode())[:12] + b"\xff" * 300)
    with pytest.raises(CaseFileError, match="cannot be read"):
        load_case(str(path))
