"""pandapower nets, as an object or as the JSON text that ``pandapower.to_json`` writes.

pandapower's own conversion gives MATPOWER's tables. Bus numbers are pandapower's; buses that closed switches join are
one bus with the lowest of their numbers; what pandapower adds (the star point of a transformer with three windings)
gets numbers above all others. Iron losses, and charging that differs between the ends, become shunts at the buses:
every voltage stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from gridledger import jsontext
from gridledger.grid.case_files.tables import (
    BRANCH_COLUMNS,
    BS,
    BUS,
    BUS_COLUMNS,
    FROM,
    GEN_BUS,
    GEN_COLUMNS,
    GS,
    QMAX,
    QMIN,
    TAP,
    TO,
    VA,
    VM,
    CaseFileError,
    CaseTables,
    Table,
)

_NO_LIMIT_MVAR = 1e9
"""pandapower writes this where there is no limit."""
_NOT_CONVERTED = ("svc", "ssc", "tcsc", "vsc", "line_dc", "bus_dc", "vsc_stacked", "vsc_bipolar")
_VOLTAGE_DEPENDENT = ("const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent")
_TABLE_CLASS = ("pandas.core.frame", "DataFrame")
_MARK = "_module"
_NET_CLASS = {"_module": "pandapower.auxiliary", "_class": "pandapowerNet"}


def tables_of_net(net: Any) -> CaseTables:
    """The tables of a pandapower net, which stays as it is. Raises CaseFileError."""
    name = str(net.name or "pandapower net")
    _refuse_what_no_table_has(name, net)
    net = deepcopy(net)
    try:
        start = _solved_voltages(net)
        ppc = _converted(net)
        bus, gen, branch = (np.real(ppc[table]) for table in ("bus", "gen", "branch"))
        places = net._pd2ppc_lookups["bus"]  # noqa: SLF001 -- which bus became which is told nowhere else
        numbers = _numbers(len(bus), {int(number): int(places[number]) for number in net.bus.index})
    except Exception as error:
        raise CaseFileError(f"{name}: pandapower cannot convert this net: {error!r}") from None
    base_mva = float(ppc["baseMVA"])
    bus = _with_charging(name, bus, branch, base_mva)
    bus, gen, branch = bus[:, : len(BUS_COLUMNS)], gen[:, : len(GEN_COLUMNS)], branch[:, : len(BRANCH_COLUMNS)]
    to_number = np.asarray(numbers, dtype=np.float64)
    bus[:, BUS] = to_number
    gen[:, GEN_BUS] = to_number[gen[:, GEN_BUS].astype(np.int64)]
    branch[:, (FROM, TO)] = to_number[branch[:, (FROM, TO)].astype(np.int64)]
    gen[np.isnan(gen[:, QMIN]) | (gen[:, QMIN] <= -_NO_LIMIT_MVAR), QMIN] = -np.inf
    gen[np.isnan(gen[:, QMAX]) | (gen[:, QMAX] >= _NO_LIMIT_MVAR), QMAX] = np.inf
    if start is not None and len(start) == len(bus):
        bus[:, (VM, VA)] = start
    coordinates = np.asarray([_position(net, number) for number in numbers])
    return CaseTables(name, base_mva, bus, gen, branch, coordinates)


def _solved_voltages(net: Any) -> Table | None:
    """Magnitude and angle of every bus as pandapower solves them, to 6 digits: where a power flow may start.

    None where it finds no solution. A transformer that turns angles by 150 degrees, say, keeps Newton from finding one
    from a flat start. Digits beyond depend on the processor, and would change the case's digest.
    """
    from pandapower import runpp  # noqa: PLC0415 -- takes 2 s
    from pandapower.powerflow import LoadflowNotConverged  # noqa: PLC0415
    from pandapower.pypower import idx_bus  # noqa: PLC0415

    try:
        runpp(net, calculate_voltage_angles=True, init="dc", numba=False)
    except LoadflowNotConverged:
        return None
    voltages = np.nan_to_num(net._ppc["bus"][:, (idx_bus.VM, idx_bus.VA)], nan=1.0)  # noqa: SLF001
    rounded: Table = np.round(voltages, 6) + 0.0
    return rounded


def _converted(net: Any) -> Any:
    """pandapower's tables before it leaves out what is out of service; ``to_ppc`` drops columns of them."""
    from pandapower.auxiliary import _add_ppc_options  # noqa: PLC0415 -- takes 2 s
    from pandapower.pd2ppc import _pd2ppc  # noqa: PLC0415

    net["_options"] = {}
    _add_ppc_options(
        net,
        calculate_voltage_angles=True,
        trafo_model="t",
        check_connectivity=True,
        mode="pf",
        switch_rx_ratio=2,
        init_vm_pu="flat",
        init_va_degree="flat",
        enforce_q_lims=True,
        enforce_p_lims=False,
        recycle=None,
    )
    tables, _ = _pd2ppc(net)
    return tables


def tables_of_net_text(name: str, value: Mapping[str, Any]) -> CaseTables:
    """The tables of a net that was written as JSON. Raises CaseFileError.

    Only its tables and plain values are taken: pandapower would make an object of any class that the text names.
    """
    from pandapower import from_json_string  # noqa: PLC0415 -- takes 2 s

    parts = value.get("_object")
    if value.get("_class") != "pandapowerNet" or not isinstance(parts, Mapping):
        raise CaseFileError(f"{name}: a pandapower object, but no net")
    kept = {key: part for key, part in parts.items() if not isinstance(part, (Mapping, list)) or _is_table(part)}
    try:
        for key, part in kept.items():
            if isinstance(part, Mapping) and _holds_objects(part):
                raise CaseFileError(f"{name}: the table {key} holds objects; only numbers and texts are read")
        net = from_json_string(jsontext.dumps(_NET_CLASS | {"_object": kept}).decode())
        net.name = name
    except CaseFileError:
        raise
    except Exception as error:
        raise CaseFileError(f"{name}: pandapower cannot read this net: {error!r}") from None
    return tables_of_net(net)


def _is_table(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and (part.get("_module"), part.get("_class")) == _TABLE_CLASS
        and isinstance(part.get("_object"), str)
    )


def _holds_objects(table: Mapping[str, Any]) -> bool:
    """Whether pandapower would read something in a table, its rows or what describes them, as an object of a class."""
    described = {key: value for key, value in table.items() if key not in {"_module", "_class", "_object"}}
    return _names_a_class(described) or _names_a_class(json.loads(table["_object"]))


def _names_a_class(value: Any) -> bool:
    """Whether something in a value would be read as an object of a class, also inside a text."""
    if isinstance(value, Mapping):
        return _MARK in value or any(_names_a_class(part) for part in value.values())
    if isinstance(value, list):
        return any(_names_a_class(part) for part in value)
    return isinstance(value, str) and _MARK in value


def _refuse_what_no_table_has(name: str, net: Any) -> None:
    for table in _NOT_CONVERTED:
        if table in net and len(net[table]):
            raise CaseFileError(f"{name}: its table {table} has elements that MATPOWER's tables have no place for")
    loads = net.load[net.load.in_service.astype(bool)]
    for column in _VOLTAGE_DEPENDENT:
        if column in loads and (loads[column].fillna(0.0) != 0.0).any():
            raise CaseFileError(f"{name}: loads that depend on voltage ({column}) are not read: make them constant")


def _numbers(count: int, places: Mapping[int, int]) -> list[int]:
    """The bus number of each of pandapower's internal places: the lowest that fell there, or one above all."""
    numbers: dict[int, int] = {}
    for number, place in sorted(places.items()):
        numbers.setdefault(place, number)
    above = iter(range(max(places) + 1, max(places) + 1 + count))
    return [numbers[place] if place in numbers else next(above) for place in range(count)]


def _with_charging(name: str, bus: Table, branch: Table, base_mva: float) -> Table:
    """Buses with what MATPOWER's branches cannot hold: conductance to earth, and what the two ends differ by."""
    from pandapower.pypower.idx_brch import (  # noqa: PLC0415
        BR_B_ASYM,
        BR_G,
        BR_G_ASYM,
        BR_R_ASYM,
        BR_X_ASYM,
        F_BUS,
        T_BUS,
    )

    bus = bus.copy()
    if branch[:, (BR_R_ASYM, BR_X_ASYM)].any():
        raise CaseFileError(f"{name}: an element has another impedance in one direction than in the other")
    tap = np.where(branch[:, TAP] == 0.0, 1.0, branch[:, TAP])
    at_f = branch[:, BR_G] / 2.0 / (tap * tap)
    at_t = (branch[:, BR_G] + branch[:, BR_G_ASYM]) / 2.0
    charging_at_t = branch[:, BR_B_ASYM] / 2.0
    # MATPOWER halves B between the ends; what the t end has more becomes a shunt there.
    for end, column, values in ((F_BUS, GS, at_f), (T_BUS, GS, at_t), (T_BUS, BS, charging_at_t)):
        in_service = branch[:, len(BRANCH_COLUMNS) - 1] > 0
        np.add.at(bus, (branch[in_service, end].astype(np.int64), column), values[in_service] * base_mva)
    return bus


def _position(net: Any, number: int) -> tuple[float, float]:
    """Where a bus is drawn; not a number where the net does not say."""
    try:
        x, y = json.loads(net.bus.at[number, "geo"])["coordinates"][:2]
        return float(x), float(y)
    except (KeyError, TypeError, ValueError):
        return np.nan, np.nan
