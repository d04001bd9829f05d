"""The network of three cities with agents and a light node: its devices, and cities that are lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gridledger.errors import GridLedgerError
from services.anchor.ledger import anchors_ledger
from services.case.__main__ import main
from services.case.ledger import access_ledger, cases_ledger, section_ledger
from tests.support.forensics_network import CITIES, ForensicsNetwork, forensics_description, forensics_network
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(400)]

COMPANIONS: dict[str, dict[str, Any]] = {"anchor": {"interval_s": 1.0}, "ln-home-1": {}}
SCOPE = {"channels": ["access", "section-home"], "from_us": 1, "to_us": 2}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    folder = tmp_path_factory.mktemp("cities") / "network"
    with forensics_network(forensics_description(COMPANIONS), folder) as network:
        assert main(["set-up", "--dir", str(network.folder)]) == 0
        yield network


@pytest.fixture
def run(running: ForensicsNetwork, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``gridledger case``; what it prints for programs."""

    def run(*words: str) -> Any:
        capsys.readouterr()
        assert main([*words, "--dir", str(running.folder), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_what_a_light_node_holds_is_registered_rotated_and_revoked(running: ForensicsNetwork, run: Any) -> None:
    """And its section hears of it by an agent."""
    held = {"home-meter-1", "home-meter-2", "home-feeder-1"}
    done = run("set-up")
    assert (done["founded"], {each["device"] for each in done["devices"]}) == ([], held)
    assert {each["done"] for each in done["devices"]} == {"unchanged"}
    before = run("device", "show", "home-meter-1")
    rotated = run("device", "rotate", "home-meter-1", "--lightnode", "ln-home-1")
    assert (before["key_number"], rotated["key_number"]) == (1, 2)
    revoked = run("device", "revoke", "home-meter-2", "--reason", "found opened")
    assert revoked["by"] == "LvivMSP"
    asyncio.run(heard(running, rotated["proof_key"]))


async def heard(network: ForensicsNetwork, proof_key: str) -> None:
    """Wait until the section has home-meter-1's new key, and has suspended home-meter-2."""
    async with section_ledger(network.profile, await network.registrar("Lviv"), "section-home") as section:

        async def both() -> bool:
            meters = [await section.get_device(f"home-meter-{number}") for number in (1, 2)]
            return meters[0]["proof_key"] == proof_key and meters[1]["status"] == "suspended"

        await eventually(both, within_s=30, what="the section hears of a rotation and a revocation")


async def test_any_city_may_be_lost(running: ForensicsNetwork) -> None:
    """With any one lost, sessions, commands, cases, queries and anchors go on; with two lost they are read."""
    for city in CITIES:
        await go_on_without(running, city)
    petro, roman = await running.operator("Severodonetsk", "petro"), await running.investigator()
    for city in ("kyiv", "lviv"):
        await running.lose(city)
    async with access_ledger(running.profile, petro) as access, cases_ledger(running.profile, roman) as cases:
        read = {each["session"] async for each in access.sessions(is_open=True)}
        assert read >= {f"without-{city}" for city in CITIES}
        assert [each["text"] async for each in cases.queries("without-lviv")] == ["device breaker-7"]
        with pytest.raises(GridLedgerError):
            await access.open_session("nowhere", "petro", "t-1", "section-plant", "shift")


async def go_on_without(network: ForensicsNetwork, city: str) -> None:
    """Lose a city, open a session and a case, command and ask, see the command anchored; then the city comes back."""
    olha = await network.operator("Kyiv" if city == "lviv" else "Lviv", f"olha-{city}")
    head, roman = await network.authority(), await network.investigator()
    await network.lose(city)
    name = f"without-{city}"
    async with access_ledger(network.profile, olha) as access:
        await access.open_session(name, f"olha-{city}", "t-1", "section-home", "shift")
        await access.command(name, "breaker-7", "open")
        height = (await access.chain_info()).height
    async with cases_ledger(network.profile, roman) as cases, cases_ledger(network.profile, head) as approving:
        await cases.open_case(name, "a city is lost", SCOPE)
        await approving.approve(name)
        await cases.query(name, "device breaker-7")
    async with anchors_ledger(network.profile, head) as anchors:

        async def is_anchored() -> bool:
            final = (await anchors.status("access")).final
            return final is not None and final.size >= height

        await eventually(is_anchored, within_s=30, what=f"the command without {city} is anchored")
    await network.rebuild(city)
