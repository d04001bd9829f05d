"""The commands of interactive control: what a line means, and what is told where it means nothing."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from services.feeder.control.commands import (
    MAX_LINE,
    USAGE,
    Command,
    MergeGroup,
    ScaleLoads,
    SetLoad,
    SetVvc,
    Simple,
    SplitMerge,
    SwitchLine,
    parse,
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("load 3 52.8 26.4", SetLoad(3, 52.8, 26.4)),
        ("  LOAD 3  -1 2e1 ", SetLoad(3, -1.0, 20.0)),
        ("scale 1.2", ScaleLoads(1.2)),
        ("scale 1.2 group 2", ScaleLoads(1.2, group="2")),
        ("scale 0 bus 3 14", ScaleLoads(0.0, buses=(3, 14))),
        ("vvc 14 0", SetVvc(14, 0.0)),
        ("trip 4 12", SwitchLine((4, 12, 1), out=True)),
        ("close 77 80 2", SwitchLine((77, 80, 2), out=False)),
        ("merge 1", MergeGroup("1")),
        ("split 1_2", SplitMerge("1_2")),
        ("pause", Simple("pause")),
    ],
)
def test_a_line_is_a_command(line: str, command: Command):
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        *(
            "load",
            "load 3 1",
            "load x 1 1",
            "load 3 nan 1",
            "load 3 1 1e9",
            "load -3 1 1",
            "load 3 1 1 1",
            "load ³ 1 1",
        ),
        *("scale", "scale x", "scale -1", "scale inf", "scale 2 group", "scale 2 group 01", "scale 2 bus", "scale 2 3"),
        *("vvc 3 -1", "vvc 3", "trip 4", "trip 4 12 0", "trip 4 12 1 1", "close 4 x", "merge", "merge 1_2", "merge 0"),
        *("split 1", "split 1_", "pause now", "quit 1", "status all", "load 99999999999 1 1"),
    ],
)
def test_a_command_that_is_wrong_tells_how_it_is_used(line: str):
    with pytest.raises(InputError) as refused:
        parse(line)
    assert refused.value.message == f"usage: {USAGE[line.split(maxsplit=1)[0]]}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "an empty line is no command"),
        ("raise 3", "there is no command 'raise': use one of load, scale, vvc"),
        ("x" * (MAX_LINE + 1), f"at most {MAX_LINE} characters"),
    ],
)
def test_what_is_no_command_is_told(line: str, told: str):
    with pytest.raises(InputError, match=told):
        parse(line)
