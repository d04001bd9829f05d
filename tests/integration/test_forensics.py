"""Forensics on the real network of three cities: sessions, cases, and any city lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import pytest

from gridledger.client import FullBlockEvent, Network
from gridledger.errors import GridLedgerError
from services.case.__main__ import main
from services.case.ledger import access_ledger, cases_ledger
from tests.support.forensics_network import ForensicsNetwork, forensics_description, forensics_network

pytestmark = pytest.mark.integration

SCOPE = {"channels": ["access", "section-home"], "from_us": 1, "to_us": 2}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    with forensics_network(forensics_description(), tmp_path_factory.mktemp("forensics") / "network") as network:
        assert main(["set-up", "--dir", str(network.folder)]) == 0
        yield network


@pytest.fixture
def run(running: ForensicsNetwork, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``gridledger case``; what it prints for programs."""

    def run(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        ended = main([*words, "--dir", str(running.folder), "--json"])
        out, err = capsys.readouterr()
        assert ended == code, f"{words}: exit code {ended}\n{out}\n{err}"
        return json.loads(out) if code == 0 else err

    return run


def test_set_up_again_is_harmless(run: Any) -> None:
    assert run("set-up") == {"authority": "AuthorityMSP", "founded": [], "devices": []}


def test_a_case_by_its_commands(running: ForensicsNetwork, run: Any) -> None:
    opening = ("open", "2026-17", "--purpose", "breakers opened at 15:30", "--channel", "access", "section-home")
    assert run(*opening, "--from", "2026-11-30T15:00Z", "--to", "2026-11-30T16:00Z")["scope"]["kinds"] is None
    assert "case: 2026-17 is not approved yet" in asyncio.run(refused_query(running, "2026-17"))
    assert "the authority is AuthorityMSP; the caller's certificate is of InvestigatorsMSP" in run(
        "approve", "2026-17", "--user", "Investigators/forensics-investigator", code=1
    )
    assert run("approve", "2026-17")["by"]["mspid"] == "AuthorityMSP"
    asyncio.run(ask(running, "2026-17", "device breaker-7"))
    assert [each["text"] for each in run("queries", "2026-17")["items"]] == ["device breaker-7"]
    assert run("close", "2026-17", "--reason", "done")["reason"] == "done"
    assert "case: 2026-17 is closed" in asyncio.run(refused_query(running, "2026-17"))
    assert run("show", "2026-17")["status"] == "closed"


async def test_investigators_read_nothing_but_general(running: ForensicsNetwork) -> None:
    """Each peer of each other channel refuses them, whatever way they ask."""
    roman = await running.investigator()
    for channel, entry in running.profile.channels.items():
        for peer in entry.peers:
            async with running.network.gateway(peer, roman) as gateway:
                for number, way in enumerate(reading(running, gateway.get_network(channel))):
                    if channel == "general":
                        await way()
                        continue
                    with pytest.raises(GridLedgerError) as refusal:
                        await way()
                    assert refusal.value.code == "UNKNOWN_AUTHORITY", (channel, peer, number, refusal.value)


def reading(running: ForensicsNetwork, network: Network) -> list[Callable[[], Awaitable[Any]]]:
    """Ways to read a channel through one peer: functions of its contract, and what the peer itself tells."""
    chaincode = next(iter(running.network.config.channels[network.channel].chaincodes))
    return [
        partial(network.get_contract(chaincode).evaluate_transaction, "GetAuthority", {}),
        network.get_chain_info,
        network.get_config,
        partial(network.get_block, 0),
        network.get_headers,
        partial(network.get_history, chaincode, "authority"),
        partial(first_block, network),
    ]


async def first_block(network: Network) -> None:
    """Read the stream of blocks up to its first."""
    stream = cast("AsyncGenerator[FullBlockEvent, None]", network.full_block_events(start_block=0))
    async with aclosing(stream) as blocks:
        async for _ in blocks:
            return


async def test_openings_at_once_by_one_operator_all_stay_and_are_flagged(running: ForensicsNetwork) -> None:
    ivan = await running.operator("Lviv", "ivan")
    async with access_ledger(running.profile, ivan) as access:
        names = [f"at-once-{number}" for number in range(6)]
        opened = await asyncio.gather(
            *(access.open_session(name, "ivan", f"t-{name}", "section-home", "shift") for name in names)
        )
        assert [record["session"] for record in opened] == names
        told = [each async for each in access.sessions(operator="ivan", suspicious=True)]
        assert {each["session"] for each in told} == set(names)
        for each in told:
            assert {flag["session"] for flag in each["suspicious"]} == set(names) - {each["session"]}


async def test_a_city_may_be_lost(running: ForensicsNetwork) -> None:
    """Kyiv, which is on every channel."""
    await go_on_without(running, "kyiv")


@pytest.mark.deep
async def test_any_city_may_be_lost(running: ForensicsNetwork) -> None:
    """With any one lost, sessions, commands, cases and queries go on; with two lost they are read."""
    for city in ("severodonetsk", "lviv"):
        await go_on_without(running, city)
    petro, roman = await running.operator("Severodonetsk", "petro"), await running.investigator()
    for city in ("kyiv", "lviv"):
        await running.lose(city)
    async with access_ledger(running.profile, petro) as access, cases_ledger(running.profile, roman) as cases:
        read = {each["session"] async for each in access.sessions(is_open=True)}
        assert read >= {"without-severodonetsk", "without-lviv"}
        assert [each["text"] async for each in cases.queries("without-lviv")] == ["device breaker-7"]
        with pytest.raises(GridLedgerError):
            await access.open_session("nowhere", "petro", "t-1", "section-plant", "shift")


async def go_on_without(network: ForensicsNetwork, city: str) -> None:
    """Lose a city, open a session and a case, command and ask; then the city comes back."""
    olha = await network.operator("Kyiv" if city == "lviv" else "Lviv", f"olha-{city}")
    head, roman = await network.authority(), await network.investigator()
    await network.lose(city)
    name = f"without-{city}"
    async with access_ledger(network.profile, olha) as access:
        await access.open_session(name, f"olha-{city}", "t-1", "section-home", "shift")
        await access.command(name, "breaker-7", "open")
    async with cases_ledger(network.profile, roman) as cases, cases_ledger(network.profile, head) as approving:
        await cases.open_case(name, "a city is lost", SCOPE)
        await approving.approve(name)
        await cases.query(name, "device breaker-7")
    await network.rebuild(city)


async def ask(network: ForensicsNetwork, case: str, text: str) -> None:
    async with cases_ledger(network.profile, await network.investigator()) as cases:
        await cases.query(case, text)


async def refused_query(network: ForensicsNetwork, case: str) -> str:
    with pytest.raises(GridLedgerError) as refusal:
        await ask(network, case, "anything")
    return refusal.value.message
