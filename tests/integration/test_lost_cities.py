"""The network of three cities with agents of anchors, of which cities are lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gridledger.errors import GridLedgerError
from services.anchor.ledger import anchors_ledger
from services.case.__main__ import main
from services.case.ledger import access_ledger, cases_ledger
from tests.support.forensics_network import CITIES, ForensicsNetwork, forensics_description, forensics_network
from tests.support.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.deep, pytest.mark.timeout(400)]

AGENTS = {"anchor": {"interval_s": 1.0}}
SCOPE = {"channels": ["access", "section-home"], "from_us": 1, "to_us": 2}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    folder = tmp_path_factory.mktemp("cities") / "network"
    with forensics_network(forensics_description(AGENTS), folder) as network:
        assert main(["set-up", "--dir", str(network.folder)]) == 0
        yield network


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
