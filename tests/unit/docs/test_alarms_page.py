"""docs/alarms.md names the functions, events and keys of the contract, and no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gridledger.network.schema import load_network_config
from tests.support.contract_channel import chaincode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "alarms.md").read_text()


def rows() -> list[list[str]]:
    return [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]


def test_the_tables_have_every_function_with_its_argument() -> None:
    functions = {name: f for name, (_, f) in chaincode("alarms").functions.items() if f is not None}
    told = {row[0].strip(" `").split(" ")[0].rstrip("`"): row for row in rows()}
    assert told.keys() == functions.keys()
    for name, row in told.items():
        assert (len(row) == 2) == functions[name].readonly
        argument = re.search(r"\{[^}]*\}", row[0] if len(row) == 2 else row[2])
        meant = re.match(r"\{[^}]*\}", functions[name].description)
        assert argument is not None
        assert meant is not None
        assert argument.group() == meant.group()


def test_the_table_has_the_events_that_the_contract_sets() -> None:
    told = {re.findall(r"`([A-Z]\w+)`", row[-1])[0] for row in rows() if len(row) == 5}
    source = "".join(path.read_text() for path in (ROOT / "chaincode" / "alarms").glob("*.py"))
    assert told == set(re.findall(r'set_event\("(\w+)"', source))


def test_the_keys_are_those_of_the_module() -> None:
    package = type(chaincode("alarms").contracts[0]).__module__.rpartition(".")[0]
    keys = sys.modules[f"{package}.keys"]
    told = PAGE.partition("## Keys")[2].partition(".")[0]
    meant = {keys.acknowledged("GROUP", "KIND", 0).replace("0" * keys.TIME_DIGITS, "TIME16")}
    assert set(re.findall(r"`([^`]+)`", told)) == meant | {keys.shelved("GROUP", "KIND")}


def test_three_shards_has_it_on_every_channel_of_a_group() -> None:
    config = load_network_config(ROOT / "network-config" / "three-shards.yaml")
    name, application = config.applications["alarms"]["chaincode"], config.applications["dvs"]
    for channel in (application["main"], *application["groups"]):
        assert str(config.channels[channel].chaincodes[name].path) == "chaincode/alarms"
