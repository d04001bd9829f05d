"""Four servers, their peers and a relay as processes: each minute once, whatever is killed, and the page."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import client_tls
from services.relay.__main__ import main as relay_command
from services.relay.article import verify_chain
from services.relay.ledger import RelayLedger
from tests.support.command import gridledger
from tests.support.processes import REPOSITORY, free_ports
from tests.support.relay_network import RELAY, SERVERS, RelayNetwork, relay_network, substation
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

ORDERERS = ("orderer1", "orderer2", "orderer3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayNetwork]:
    with relay_network(substation(0.75), tmp_path_factory.mktemp("relay")) as running:
        asyncio.run(running.register())
        yield running


@pytest_asyncio.fixture
async def ledger(place: RelayNetwork) -> AsyncIterator[RelayLedger]:
    async with place.ledger() as ledger:
        yield ledger


async def recorded(place: RelayNetwork, ledger: RelayLedger, *, more: int, within_s: float = 40) -> dict[int, Any]:
    """Wait until ``more`` further minutes, and all that the relay had completed by then, are on the ledger; assert that
    they are as the relay told them."""
    before = len(place.completed())

    async def there() -> dict[int, Any] | None:
        completed, found = place.completed(), await place.captures(ledger)
        wanted = sorted(completed)[: before + more]
        return found if len(wanted) == before + more and found.keys() >= set(wanted) else None

    found = await eventually(there, within_s=within_s, what=f"{more} more minutes", ignore=(GridLedgerError,))
    assert found is not None
    completed = place.completed()
    assert {minute: item["sha256"] for minute, item in found.items()} == {minute: completed[minute] for minute in found}
    return found


async def all_spoken(ledger: RelayLedger, minutes: list[int], within_s: float = 30) -> None:
    """Wait until every server has spoken of these minutes, all alike."""

    async def agreed() -> bool:
        found = [(await ledger.get_capture(RELAY, minute))["verdict"] for minute in minutes]
        return all(verdict is not None and set(verdict["for"]) == set(SERVERS) for verdict in found)

    await eventually(agreed, within_s=within_s, what=f"four voices for {minutes}", ignore=(GridLedgerError,))


async def test_four_servers_record_each_minute_once(place: RelayNetwork, ledger: RelayLedger) -> None:
    found = await recorded(place, ledger, more=8)
    await all_spoken(ledger, sorted(found)[:8])


def test_the_commands_read_what_the_servers_recorded(
    place: RelayNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--dir", str(place.network.folder.root), "--user", "Customers/admin", "--relay", RELAY)

    def said(name: str, *arguments: str, code: int = 0) -> str:
        assert relay_command([name, *arguments, *at]) == code
        return capsys.readouterr().out

    shown = json.loads(said("show", "latest", "--json"))
    assert shown["sha256"] == place.completed()[shown["minute"]]
    span = ("--from", str(shown["minute"] - 7), "--to", str(shown["minute"] + 1))
    listed = json.loads(said("captures", *span, "--json"))["items"]
    assert [item["minute"] for item in listed] == list(range(shown["minute"] - 7, shown["minute"] + 1))
    assert json.loads(said("gaps", *span, "--json"))["gaps"] == []
    (state,) = json.loads(said("status", "--json"))["relays"]
    assert (state["relay"], state["recent"]["missing"] < 60) == (RELAY, True)
    events = said("watch", "--from", "0", "--event", "CaptureRecorded", "--count", "2").splitlines()
    assert ["CaptureRecorded" in line for line in events] == [True, True]

    said("export", "--csv", "-o", str(tmp_path / "captures.csv"), *span)
    with (tmp_path / "captures.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["minute"]) for row in rows[::6]] == [item["minute"] for item in listed]
    said("export", "--article", "-o", str(tmp_path / "chain.json"), *span)
    assert relay_command(["verify", str(tmp_path / "chain.json")]) == 0
    assert json.loads(capsys.readouterr().out)["length"] == 9

    begin = shown["minute"] - 9
    said("export", "--csv", "-o", str(tmp_path / "window.csv"), "--from", str(begin), "--to", str(begin + 10))
    with (tmp_path / "window.csv").open(newline="", encoding="utf-8") as file:
        highest = max(float(row["Vab"]) for row in csv.DictReader(file))
    report = tmp_path / "report.csv"
    lines = [f"{begin},{begin + 10},Vab,max,{value:.3f},kV" for value in (highest, highest - 0.5)]
    report.write_text("\n".join(["from,to,measure,statistic,value,unit", *lines]))
    (difference,) = said("compare", str(report), code=1).splitlines()
    assert difference.startswith("line 3: Vab max of ")


def test_a_relay_is_registered_by_its_operator_from_a_file(
    place: RelayNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (REPOSITORY / "network-config/relays/rele1.yaml").read_text(encoding="utf-8").replace("Rele_1", "Rele_2")
    head, _, behind = text.partition("servers:\n")
    behind = behind.partition("quorum: 3\n")[2]
    file = tmp_path / "rele2.yaml"
    file.write_text(f'{head}servers: [{{id: "9999", mspid: Server5004MSP}}]\nquorum: 1\n{behind}', encoding="utf-8")
    done = gridledger("relay", "register", file, "--dir", place.network.folder.root, "--as", "Server5005")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "relay Rele_2 is registered: revision 1, operator Server5005MSP\n"
    assert relay_command(["captures", "--dir", str(place.network.folder.root)]) == 1
    assert "name one with --relay: Rele_1, Rele_2" in capsys.readouterr().err
    done = gridledger("relay", "update", file, "--dir", place.network.folder.root, "--as", "Server5004")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Server5005MSP" in done.stderr


async def test_the_page_is_for_members_and_has_the_articles_chain(place: RelayNetwork, ledger: RelayLedger) -> None:
    await recorded(place, ledger, more=5)
    customer = place.network.admin("Customers")

    async def grown() -> bool:
        chains = [
            json.loads(await fetched(place, server, "/get_chain?limit=1", customer)) for server in ("5004", "5007")
        ]
        return all(chain["1_length"] >= 5 for chain in chains)

    await eventually(grown, within_s=20, what="five blocks at both servers")
    chain = await fetched(place, "5004", "/get_chain?limit=5", customer)
    blocks = json.loads(chain)["2_chain"]
    assert verify_chain(json.dumps({"1_length": 5, "2_chain": blocks}).encode())["length"] == 5
    assert [block["1_Index"] for block in blocks] == [1, 2, 3, 4, 5]
    other = await fetched(place, "5007", "/get_chain?from=2&limit=3", customer)
    assert json.loads(other)["2_chain"] == blocks[1:4], "every server makes the same chain"
    assert json.loads(await fetched(place, "5005", f"/is_valid?relay={RELAY}", customer))["valid"] is True
    with pytest.raises(Refused, match="this server does not follow Rele_9; it follows: Rele_1"):
        await fetched(place, "5005", "/get_chain?relay=Rele_9", customer)
    nodes = json.loads(await fetched(place, "5006", "/nodes", customer))["nodes"]
    assert {node["name"]: node["up"] for node in nodes} == dict.fromkeys(place.ports, True)
    latest = json.loads(await fetched(place, "5006", "/captures/latest?limit=3", customer))["relays"][0]["captures"]
    assert len(latest) == 3
    assert latest[0]["minute"] > latest[1]["minute"] > latest[2]["minute"]
    assert (await fetched(place, "5006", "/", customer)).startswith(b"<!doctype html>")


async def test_the_page_is_for_nobody_without_a_certificate(place: RelayNetwork, tmp_path: Path) -> None:
    for path in ("/", "/get_chain", "/is_valid", "/nodes", "/captures/latest", "/metrics"):
        with pytest.raises(Refused, match="CLIENT_CERTIFICATE_REQUIRED"):
            await fetched(place, "5004", path, None)
    await fetched(place, "5004", "/healthz", None)
    with pytest.raises(Refused, match="PERMISSION_DENIED"):
        await fetched(place, "5004", "/metrics", place.network.admin("Customers"))
    own = await fetched(place, "5004", "/metrics", place.network.admin("Server5004"))
    assert b"gridledger_relay_spool_captures" in own


async def test_a_killed_server_stops_nobody_and_attests_when_it_is_back(
    place: RelayNetwork, ledger: RelayLedger
) -> None:
    await place.network.kill("server5005")
    missed = sorted(await recorded(place, ledger, more=3))[-3:]
    await place.network.start("server5005")
    await all_spoken(ledger, missed)


async def test_a_server_whose_peer_dies_goes_to_another(place: RelayNetwork, ledger: RelayLedger) -> None:
    await place.network.kill("peer5006")
    try:
        found = await recorded(place, ledger, more=3)
        await all_spoken(ledger, sorted(found)[-2:])
    finally:
        await place.network.start("peer5006")


@pytest.mark.deep
async def test_a_dead_relay_is_reported_and_its_return(place: RelayNetwork, ledger: RelayLedger) -> None:
    await recorded(place, ledger, more=2)
    await place.network.kill("rele1")

    async def silent() -> Any:
        return (await ledger.get_relay(RELAY))["silence"]

    silence = await eventually(silent, within_s=20, what="a silence")
    assert silence["reason"] == "unreachable"
    await place.network.start("rele1")

    async def back() -> bool:
        return not await silent()

    await eventually(back, within_s=30, what="its end")
    await recorded(place, ledger, more=3)


@pytest.mark.deep
async def test_without_orderers_captures_wait_in_the_spool(place: RelayNetwork, ledger: RelayLedger) -> None:
    await recorded(place, ledger, more=1)
    await asyncio.gather(*(place.network.kill(name) for name in ORDERERS))
    before = len(place.completed())

    async def later() -> bool:
        return len(place.completed()) >= before + 15

    await eventually(later, within_s=60, what="fifteen minutes of the relay")
    await asyncio.gather(*(place.network.start(name) for name in ORDERERS))
    await recorded(place, ledger, more=2, within_s=90)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_two_hundred_minutes_with_everything_killed_in_turn(place: RelayNetwork, ledger: RelayLedger) -> None:
    network = place.network
    begun = len(place.completed())
    for name in (*(f"server{n}" for n in SERVERS), *(f"peer{n}" for n in SERVERS), *ORDERERS):
        await network.kill(name)
        await recorded(place, ledger, more=2, within_s=60)
        await network.start(name)
        await recorded(place, ledger, more=2, within_s=60)

    async def enough() -> bool:
        return len(place.completed()) >= begun + 200

    await eventually(enough, within_s=300, what="two hundred minutes")
    found = await recorded(place, ledger, more=1, within_s=60)
    assert found.keys() >= set(sorted(place.completed())[: begun + 200])
    await all_spoken(ledger, sorted(found)[-210:-10:10], within_s=120)
    await network.agree("substation")


@pytest.mark.deep
async def test_a_server_is_enrolled_and_served_from_the_command_line(place: RelayNetwork) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "services.relay", "serve", "--server", "5004", "--plain"]
    command += ["--dir", str(place.network.folder.root), "--listen", f"127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def chain() -> Any:
                async with session.get("/get_chain?limit=3") as answer:
                    return len((await answer.json())["2_chain"]) == 3

            await eventually(chain, within_s=30, what="a chain", ignore=(aiohttp.ClientError, KeyError))
            async with session.get("/get_chain", headers={"host": "evil.example"}) as answer:
                assert (await answer.json())["error"]["code"] == "WRONG_HOST"
    finally:
        process.terminate()
        assert await process.wait() == 0


class Refused(Exception):
    """A page answered with an error."""


async def fetched(place: RelayNetwork, server: str, path: str, identity: SigningIdentity | None) -> bytes:
    """What a server's page answers to the holder of an identity."""
    tls = client_tls(identity, place.network.roots)
    async with aiohttp.ClientSession() as session, session.get(place.url(server, path), ssl=tls) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise Refused(body.decode())
        return body
