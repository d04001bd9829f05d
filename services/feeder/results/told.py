"""What a recorder is told: a scenario with everything filled in, a network, and changes of the grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridledger.client.profile import ConnectionProfile
from gridledger.grid.layout import layout_of
from services.feeder.results.recorder import RecordedChange, RunMeta
from services.feeder.scenario_file.reading import ScenarioFile
from services.feeder.schedule import Change, LineChange, LoadChange, VvcChange
from services.feeder.set_up import SetUp

_MANY: Final = 100
"""Buses whose new demand is told one by one; of a change of more the scenario's form and the table of buses do."""


def run_meta(file: ScenarioFile, made: SetUp, connection: ConnectionProfile) -> RunMeta:
    """What is known of a stream before its first frame; when it begins is filled in then."""
    planner, form = made.planner, file.form
    return RunMeta(
        case=planner.case,
        grouping=planner.grouping,
        profile=planner.profile,
        thresholds=planner.thresholds,
        v_required=planner.v_required,
        scenario=told_scenario(file, made),
        begun_us=0,
        seed=form.seed if made.scenario.errors is not None else None,
        enforce_q_limits=form.enforce_q_limits,
        rate=made.scenario.rate,
        network=told_network(connection),
    )


def told_scenario(file: ScenarioFile, made: SetUp) -> dict[str, Any]:
    """The scenario as JSON: the form of its file with every default, and what came of it on this grid."""
    scenario = made.scenario
    return {
        "name": scenario.name,
        "title": scenario.title,
        "rate": scenario.rate,
        "duration_s": scenario.duration_s,
        "form": file.form.model_dump(mode="json"),
        "vvc_mvar": {str(bus): q for bus, q in sorted(scenario.vvc_mvar.items())},
        "changes": [_told(change) for change in scenario.schedule.changes],
    }


def told_network(connection: ConnectionProfile) -> dict[str, Any]:
    """Topology: nodes, the peers of each channel, and which channel serves which group."""
    layout = layout_of(connection)
    return {
        "name": connection.name,
        "orderers": sorted(connection.orderers),
        "channels": {name: list(entry.peers) for name, entry in connection.channels.items()},
        "main": layout.main,
        "groups": list(layout.groups),
        "placed": dict(layout.placed),
    }


def recorded_changes(change: Change, time_us: int) -> Iterator[RecordedChange]:
    """A change that was carried out: a row for each bus, or one for all where they are many.

    The rows have one time, and only the first of them has the text.
    """
    if isinstance(change, LoadChange) and len(change.buses) <= _MANY:
        for row, (bus, (p_mw, q_mvar)) in enumerate(change.loads.items()):
            yield RecordedChange(time_us, change.kind, change.title if row == 0 else "", bus, p_mw, q_mvar)
    elif isinstance(change, VvcChange) and len(change.mvar) <= _MANY:
        for row, bus in enumerate(change.mvar):
            yield RecordedChange(time_us, change.kind, _vvc_told(change) if row == 0 else "", bus)
    else:
        yield RecordedChange(time_us, change.kind, change.title)


def _vvc_told(change: VvcChange) -> str:
    """The title, and the amounts where it does not have them."""
    amounts = ", ".join(f"{mvar:g} MVAr at bus {bus}" for bus, mvar in change.mvar.items())
    return change.title if change.title == amounts else f"{change.title}: {amounts}"


def _told(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"at_s": change.at_s, "kind": change.kind, "title": change.title}
    if isinstance(change, LoadChange):
        if len(change.buses) > _MANY:
            return told | {"buses": len(change.buses), "share": change.share}
        return told | {"loads": {str(bus): list(load) for bus, load in change.loads.items()}}
    if isinstance(change, LineChange):
        return told | {"branch": list(change.branch)}
    return told | {"mvar": {str(bus): mvar for bus, mvar in change.mvar.items()}}
