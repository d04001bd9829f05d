"""Forensics on the real network of three cities: sessions, cases, and who reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger.client import FullBlockEvent, Network
from gridledger.errors import GridLedgerError
from services.case.__main__ import main
from services.case.ledger import access_ledger, cases_ledger
from services.case.trusted import read_trusted
from tests.support.forensics_network import ForensicsNetwork, forensics_description, forensics_network

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    folder = tmp_path_factory.mktemp("forensics") / "network"
    with forensics_network(forensics_description(), folder) as network:
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


async def ask(network: ForensicsNetwork, case: str, text: str) -> None:
    async with cases_ledger(network.profile, await network.investigator()) as cases:
        await cases.query(case, text)


async def refused_query(network: ForensicsNetwork, case: str) -> str:
    with pytest.raises(GridLedgerError) as refusal:
        await ask(network, case, "anything")
    return refusal.value.message


def test_what_a_verifier_trusts_is_told_by_the_own_peer(running: ForensicsNetwork, run: Any, tmp_path: Path) -> None:
    told = run("roots", "--out", str(tmp_path / "roots"), "--user", "Authority/forensics-authority")
    trusted = read_trusted(tmp_path / "roots")
    assert (told["channel"], told["genesis"]) == (trusted.channel, trusted.genesis) == ("general", trusted.genesis)
    organisations = ("Orderer", "Kyiv", "Severodonetsk", "Lviv", "Authority", "Investigators")
    assert {f"{name}MSP" for name in organisations} <= set(trusted.roots)
    assert trusted.roles is not None
    assert trusted.roles.roles.sections.keys() == {"section-plant", "section-transmission", "section-home"}
    assert {len(packages) for packages in trusted.roles.packages.values()} == {1}
    assert told["roles"]["devices"]["chaincode"] == "registry"
    other = run("roots", "--out", str(tmp_path / "other"), "--user", "Kyiv/admin", "--peer", "peer-kyiv")
    assert other["genesis"] == told["genesis"]
    assert "is there already" in run("roots", "--out", str(tmp_path / "roots"), code=1)
    investigator = ("roots", "--out", str(tmp_path / "third"), "--user", "Investigators/forensics-investigator")
    assert "name one that you trust with --peer" in run(*investigator, code=1)
