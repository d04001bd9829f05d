"""Case files of every format that is read give the grid that is in them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pandas
import pytest
from matpowercaseframes import CaseFrames
from scipy.io import savemat

from gridledger.errors import InputError
from gridledger.grid.case import CASE_NAMES, PQ, Case, case_of_net, load_case
from gridledger.grid.case_files.pandapower_net import tables_of_net_text
from gridledger.grid.power_flow import Grid, PowerFlow
from tests.support.case_files import case_file, case_text, changed


@pytest.mark.parametrize("name", CASE_NAMES)
def test_built_in_cases_are_matpowers_files(name: str) -> None:
    assert load_case(case_file(name)).digest == load_case(name).digest


@pytest.mark.parametrize(
    ("name", "buses", "branches", "generators"),
    [("case14", 14, 20, 5), ("case39", 39, 46, 10), ("case1354pegase", 1354, 1991, 260)],
)
def test_a_matpower_file_is_read_whole(name: str, buses: int, branches: int, generators: int) -> None:
    case = load_case(case_file(name))
    assert case.name == name
    assert (len(case.numbers), len(case.branches), len(case.generators.bus)) == (buses, branches, generators)
    state = Grid(PowerFlow(case)).state()
    # The files state their solution, with 3 to 7 digits and partly with reactive limits in force.
    assert np.abs(state.vm - case.vm0).max() < 5e-3


def test_a_binary_file_and_a_workbook_are_read_alike(tmp_path: Path) -> None:
    frames = CaseFrames(case_file("case14"))
    frames.to_excel(str(tmp_path / "case14.xlsx"))
    savemat(tmp_path / "case14.mat", {"mpc": frames.to_mpc()}, oned_as="column")
    digests = {load_case(str(tmp_path / f"case14.{kind}")).digest for kind in ("xlsx", "mat")}
    assert digests == {load_case(case_file("case14")).digest}


def test_a_file_may_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "mine.m.gz").write_bytes(gzip.compress(case_text("case14").encode()))
    assert load_case(str(tmp_path / "mine.m.gz")).digest == load_case(case_file("case14")).digest


def test_rows_may_be_written_as_matlab_allows(tmp_path: Path) -> None:
    """Commas, several rows a line, a row over two lines, block comments, Windows' line ends."""
    text = case_text("case14")
    rows = text.split("mpc.bus = [")[1].split("];")[0]
    lines = [",".join(line.split(";")[0].split()) for line in rows.splitlines() if line.strip()]
    lines[3] = lines[3].replace(",", ", ...  and so on\n ", 1)
    bus = "; ".join(lines)
    rewritten = text.replace(rows, f"{bus};\n").replace("%% system MVA base", "%{\nmpc.bus = [ 1 ];\n%}")
    path = tmp_path / "mine.m"
    path.write_bytes(rewritten.replace("\n", "\r\n").encode())
    assert load_case(str(path)).digest == load_case(case_file("case14")).digest


def read(tmp_path: Path, text: str) -> Case:
    """The case of a text."""
    path = tmp_path / "mine.m"
    path.write_text(text)
    return load_case(str(path))


def test_what_is_out_of_service_is_left_out(tmp_path: Path) -> None:
    text = changed(case_text("case14"), ("branch", 1, 11), "0")
    case = read(tmp_path, changed(text, ("gen", 5, 8), "0"))
    whole = load_case(case_file("case14"))
    assert (len(case.branches), len(case.generators.bus)) == (19, 4)
    assert case.digest != whole.digest
    # Bus 8 has lost its only generator and is a load bus, as it is for MATPOWER.
    assert (whole.kind[whole.position[8]], case.kind[case.position[8]]) == (2, PQ)


def test_isolated_buses_are_left_out_with_all_at_them(tmp_path: Path) -> None:
    case = read(tmp_path, changed(case_text("case14"), ("bus", 8, 2), "4"))
    assert 8 not in case.numbers
    assert (len(case.numbers), len(case.branches), len(case.generators.bus)) == (13, 19, 4)


def test_a_generator_at_a_load_bus_is_taken_off_its_load(tmp_path: Path) -> None:
    """It holds no voltage; MATPOWER takes it for constant power, too."""
    case = read(tmp_path, changed(case_text("case14"), ("bus", 2, 2), "1"))
    assert case.kind[1] == PQ
    assert (case.pd[1], case.qd[1]) == (21.7 - 40.0, 12.7 - 42.4)
    assert 1 not in case.generators.bus


def test_several_generators_may_stand_at_one_bus(tmp_path: Path) -> None:
    text = case_text("case14")
    row = text.split("mpc.gen = [\n")[1].split("\n")[1]
    case = read(tmp_path, text.replace(row, f"{row}\n{row}"))
    assert case.generators.bus.tolist() == [0, 1, 1, 2, 5, 7]


def busbars() -> Any:
    """A small net of each kind of element that the power grid's tables have another form for."""
    net = pandapower.networks.example_multivoltage()
    net.trafo.pfe_kw = 30.0
    return net


NETS = {
    "case9": pandapower.networks.case9,
    "case118": pandapower.networks.case118,
    "multivoltage": busbars,
    "cigre_mv": pandapower.networks.create_cigre_network_mv,
}


@pytest.mark.parametrize("name", NETS)
def test_a_pandapower_net_has_the_voltages_of_pandapower(name: str) -> None:
    net = NETS[name]()
    before = json.loads(pandapower.to_json(net))
    case = case_of_net(net)
    assert json.loads(pandapower.to_json(net)) == before
    # Behind the transformers of multivoltage that turn angles by 150 degrees it starts where the case says.
    state = Grid(PowerFlow(case)).state()
    pandapower.runpp(net, calculate_voltage_angles=True, init="dc", tolerance_mva=1e-9, numba=False)
    place = {number: index for index, number in enumerate(case.numbers)}
    shared = [number for number in net.bus.index if number in place and net.bus.in_service.at[number]]
    assert len(shared) >= min(len(net.bus), 15)
    rows = [place[number] for number in shared]
    assert np.abs(state.vm[rows] - net.res_bus.vm_pu.loc[shared]).max() < 1e-7
    assert np.abs(state.va[rows] - net.res_bus.va_degree.loc[shared]).max() < 1e-5


def test_a_net_comes_back_from_its_json(tmp_path: Path) -> None:
    net = busbars()
    path = tmp_path / "net.json"
    pandapower.to_json(net, str(path))
    assert load_case(str(path)).digest == case_of_net(net).digest


def test_a_net_that_holds_objects_is_not_read() -> None:
    """pandapower's reader would import the module that a text names, and make an object of the class."""
    net = pandapower.networks.case9()
    net.bus["name"] = net.bus["name"].astype(object)
    net.bus.at[0, "name"] = {"_module": "antigravity", "_class": "nothing", "_object": ""}
    text = json.loads(pandapower.to_json(pandapower.networks.case9()))
    table = json.loads(text["_object"]["bus"]["_object"])
    table["data"][0][0] = net.bus.at[0, "name"]
    text["_object"]["bus"]["_object"] = json.dumps(table)
    with pytest.raises(InputError, match="the table bus holds objects"):
        tables_of_net_text("net", text)


def test_elements_without_a_place_are_refused() -> None:
    net = pandapower.networks.case9()
    net.load["const_z_p_percent"] = 50.0
    with pytest.raises(InputError, match="loads that depend on voltage"):
        case_of_net(net)
    net = pandapower.networks.case9()
    net.svc = pandas.concat([net.svc, pandas.DataFrame({"bus": [1]})])
    with pytest.raises(InputError, match="its table svc has elements"):
        case_of_net(net)
