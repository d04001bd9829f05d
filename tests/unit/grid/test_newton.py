"""The columns of pandapower's tables that its Newton is given."""

from __future__ import annotations

from importlib import import_module

import pandapower
import pytest

from gridledger.grid import newton as module

MOVED = f"pandapower {pandapower.__version__} has changed its tables: adapt gridledger/grid/newton.py. "


@pytest.mark.parametrize(
    ("table", "ours"),
    [
        ("idx_bus", "BUS_I BUS_TYPE=KIND PD QD GS BS VM VA"),
        ("idx_gen", "GEN_BUS PG VG GEN_STATUS"),
        ("idx_brch", "F_BUS=F T_BUS=T BR_R=R BR_X=X BR_B=B TAP SHIFT BR_STATUS"),
    ],
)
def test_the_columns_of_pandapowers_tables_stay(table: str, ours: str) -> None:
    for names in ours.split():
        theirs, _, own = names.partition("=")
        column = getattr(module, f"_{own or theirs}")
        assert getattr(import_module(f"pandapower.pypower.{table}"), theirs) == column, f"{MOVED}Column {theirs}."


def test_the_tables_of_pandapowers_newton_stay() -> None:
    tables, _ = module._tables_of_a_trivial_net()
    assert {"baseMVA", "bus", "gen", "branch", "internal"} <= tables.keys(), f"{MOVED}Tables {sorted(tables)}."
    branches = import_module("pandapower.pypower.idx_brch")
    flows = [branches.PF, branches.QF, branches.PT, branches.QT]
    assert flows == list(range(100))[module._FLOWS], f"{MOVED}Columns of the flows."
