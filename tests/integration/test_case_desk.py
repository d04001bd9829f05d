"""The case desk on the real network of three cities: what an investigator reads, and that nothing else is read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridledger import jsontext
from gridledger.client.profile import read_roots
from gridledger.errors import GridLedgerError
from gridledger.evidence.package import read_package
from gridledger.evidence.verification import verify_package
from gridledger.field.c37118 import DataCodec, DataFrame, FrameTime, PmuData, decode_configuration
from gridledger.field.c37118.data import Stat
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient, client_tls, path_of
from services.case.__main__ import main
from services.case.desk_client import desk_url, opened_desk
from services.case.ledger import access_ledger, cases_ledger
from services.case.questions import Question
from services.case.trusted import Trusted, files_of
from tests.support.forensics_network import ForensicsNetwork, forensics_description, forensics_network
from tests.support.pmu_frames import STANDARD_CONFIGURATION
from tests.support.processes import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

CASE = "2026-17"
DEVICE = "plant-relay-1"
METER, PMU = "plant-meter-1", "plant-pmu-9"
(PMU_PORT,) = free_ports(1)
_FRAMES = {"kind": "pmu", "host": "127.0.0.1", "port": PMU_PORT, "idcode": 7734, "nominal_hz": 60}
DEVICES: list[dict[str, Any]] = [
    {"device": DEVICE, "type": "relay"},
    {"device": METER, "type": "meter"},
    {"device": PMU, "type": "pmu", "sources": [{**_FRAMES, "batches": True, "batch_s": 1}]},
]
LIGHT_NODE = {
    "devices": [{**device, "section": "section-plant"} for device in DEVICES],
    "body_readers": ["AuthorityMSP"],
}
COMPANIONS: dict[str, dict[str, Any]] = {"case-desk": {}, "ln-plant-1": LIGHT_NODE, "anchor": {"interval_s": 1.0}}
BEGIN, END = "2026-01-01T00:00Z", "2036-01-01T00:00Z"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForensicsNetwork]:
    """The network, with what happened, and a case of it that is approved."""
    folder = tmp_path_factory.mktemp("desk") / "network"
    with forensics_network(forensics_description(COMPANIONS), folder) as network:
        directory = ["--dir", str(network.folder)]
        assert main(["set-up", *directory]) == 0
        asyncio.run(happen(network))
        channels = ["access", "devices", "section-plant"]
        opening = ["open", CASE, "--purpose", "breaker 7", "--channel", *channels, "--from", BEGIN, "--to", END]
        assert main([*opening, *directory]) == 0
        assert main(["approve", CASE, *directory]) == 0
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


async def happen(network: ForensicsNetwork) -> None:
    """A session with a command, and events of a device."""
    ivan = await network.operator("Severodonetsk", "ivan")
    async with access_ledger(network.profile, ivan) as access:
        await access.open_session("s-1", "ivan", "t-1", "section-plant", "night shift")
        await access.command("s-1", DEVICE, "open")
        await access.close_session("s-1")
    (node,) = [one for one in network.network.config.companions if one.kind == "lightnode"]
    caller = await network.user("Severodonetsk", "scada", "lightnode")
    client = NodeClient(network.network.config.url(node), caller, read_roots(network.profile.roots))
    try:
        for kind, text in (("command", "breaker 7 opened"), ("alarm", "busbar without voltage")):
            told = {"device": DEVICE, "kind": kind, "body": {"text": text}}
            await client.post("/events", jsontext.dumps(told))
        await client.post("/events", jsontext.dumps({"device": METER, "kind": "reading", "body": {"kwh": 17}}))
    finally:
        await client.close()


def found(run: Any, *words: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = run("search", CASE, *words)["items"]
    return items


async def all_is_indexed(run: Any) -> None:
    """Wait until the desk has read the events that the light node forwards."""
    await eventually(
        lambda: asyncio.to_thread(lambda: len(found(run, "--device", DEVICE, "--kind", "command", "alarm")) == 2),
        within_s=60,
        what="the desk has both events",
    )


async def test_what_happened_is_found_and_each_question_is_on_the_ledger(running: ForensicsNetwork, run: Any) -> None:
    await all_is_indexed(run)
    told = await asyncio.to_thread(run, "search", CASE, "--operator", "ivan")
    kinds = ["session-opened", "command-issued", "session-closed"]
    assert [(row["kind"], row["session"], row["terminal"]) for row in told["items"]] == [
        (kind, "s-1", "t-1") for kind in kinds
    ]
    assert told["read_to"]["access"]["height"] > 1
    (alarm,) = await asyncio.to_thread(found, run, "--text", "busbar volt*", "--kind", "alarm")
    assert json.loads(alarm["text"]) == {"body": {"text": "busbar without voltage"}}
    queries = (await asyncio.to_thread(run, "queries", CASE))["items"]
    asked = {each["tx"]: json.loads(each["text"]) for each in queries}
    assert asked[told["queries"][0]] == {"kind": "search", "question": {"operators": ["ivan"], "limit": 100}}
    everything = await asyncio.to_thread(run, "timeline", CASE)
    assert [row["said_us"] for row in everything["items"] if row["said_us"]] == sorted(
        row["said_us"] for row in everything["items"] if row["said_us"]
    )


async def test_a_query_is_valid_on_the_desks_peer_before_it_is_answered(running: ForensicsNetwork) -> None:
    """A Query that is only made, and not ordered, is no Query; nor is another's, nor the same one twice."""
    roman, question = await running.investigator(), Question(operators=("ivan",))
    url = desk_url(running.folder)
    body = {"query": "ab" * 32, "kind": "search", "question": question.to_dict()}
    client = NodeClient(url, roman, read_roots(running.profile.roots))
    other = NodeClient(url, await running.user("Investigators", "olha", "investigator"), client_roots(running))
    try:
        assert await refusal(client, body) == "QUERY_NOT_VALID"
        async with cases_ledger(running.profile, roman) as cases:
            body["query"] = (await cases.query(CASE, question.text("search")))["tx"]
        assert await refusal(other, body) == "QUERY_NOT_VALID"
        answer = jsontext.loads(await client.post(path_of("cases", CASE, "rows"), jsontext.dumps(body)))
        assert len(answer["rows"]) == 3
        assert await refusal(client, body) == "QUERY_USED"
        beyond = Question(channels=("section-home",))
        async with opened_desk(running.profile, roman, url) as (desk, _):
            with pytest.raises(GridLedgerError) as refused:
                await desk.rows(CASE, "search", beyond)
            assert refused.value.code == "OUT_OF_SCOPE"
    finally:
        await client.close()
        await other.close()


async def test_plain_http_with_an_investigators_certificate_reads_no_peer(running: ForensicsNetwork) -> None:
    roman = await running.investigator()
    paths = ("blocks/0", "blocks/0?format=raw", "headers?from=0", "events/blocks?from=0", "events/full-blocks?from=0")
    for channel, entry in running.profile.channels.items():
        if channel == "general":
            continue
        for name in entry.peers:
            peer = running.profile.peers[name]
            async with plain(running, roman, peer.url) as http:
                for path in (*paths, f"history/{chaincode_of(running, channel)}?key=authority", "config", ""):
                    answer = await http.get(f"/channels/{channel}/{path}".rstrip("/"))
                    assert answer.status_code in (401, 403), (channel, name, path, answer.text)


async def test_the_desk_goes_on_where_it_was(running: ForensicsNetwork, run: Any) -> None:
    await all_is_indexed(run)
    before = await asyncio.to_thread(found, run, "--device", DEVICE)
    await running.network.kill("desk")
    await running.network.start("desk")
    assert await asyncio.to_thread(found, run, "--device", DEVICE) == before
    used = (await asyncio.to_thread(run, "search", CASE, "--limit", "1"))["left_out"]
    assert used["limit"] > 0


async def test_a_package_of_what_was_found_is_proved(running: ForensicsNetwork, run: Any, tmp_path: Path) -> None:
    await all_is_indexed(run)
    roots = tmp_path / "roots"
    roots.mkdir()
    genesis = await genesis_of(running)
    pems = {mspid: [pem] for mspid, pem in running.profile.organisation_roots.items()}
    for name, data in files_of(Trusted(pems, "general", genesis)).items():
        (roots / name).write_bytes(data)
    asked = (CASE, "--device", DEVICE, "--kind", "command", "alarm", "--title", "the opening", "--disclose")

    def proved() -> bool:
        for old in tmp_path.glob("*.zip"):
            old.unlink()
        told = run("package", *asked, "--out", str(tmp_path / "case.zip"))
        finding = run("findings", CASE)["items"][-1]
        assert (finding["package_sha256"], finding["tx"]) == (told["sha256"], told["finding"])
        return main(["verify", str(tmp_path / "case.zip"), "--roots", str(roots)]) == 0

    await eventually(lambda: asyncio.to_thread(proved), within_s=60, what="the events are anchored and proved")


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A PMU that is asked for its configuration and its data: three seconds of frames."""
    config = decode_configuration(STANDARD_CONFIGURATION)
    codec = DataCodec(config)
    await reader.readexactly(36)
    writer.write(STANDARD_CONFIGURATION)
    await reader.readexactly(18)
    start = int(time.time())
    for n in range(90):
        moment = FrameTime(start + n // 30, (n % 30) * config.time_base // 30)
        pmu = PmuData(Stat(0), (1 + 0j,) * 4, 60.0, 0.0, (1.0,) * 3, (0,))
        writer.write(codec.encode(DataFrame(config.idcode, moment, (pmu,))))
    await reader.read()


@pytest.mark.deep
async def test_a_package_takes_rows_files_and_bodies_from_light_nodes(
    running: ForensicsNetwork, run: Any, tmp_path: Path
) -> None:
    def are_indexed() -> bool:
        return {row["kind"] for row in found(run, "--device", METER, PMU)} >= {"reading", "batch"}

    server = await asyncio.start_server(stream, "127.0.0.1", PMU_PORT)
    async with server:
        await eventually(lambda: asyncio.to_thread(are_indexed), within_s=60, what="the desk has a reading and a batch")
    out = tmp_path / "parts.zip"
    asked = (CASE, "--device", METER, PMU, "--kind", "reading", "batch", "--rows", "--files", "--bodies", "--disclose")
    told = await asyncio.to_thread(lambda: run("package", *asked, "--title", "that minute", "--out", str(out)))
    assert told["missing"] == []
    package = read_package(out.read_bytes())
    assert [jsontext.loads(item.body) for item in package.bodies] == [{"kwh": 17}]
    assert told["files"] == len(package.attachments) > 0
    assert told["rows"] == len(package.rows) > 0
    # Who verifies needs no light node; that the blocks are anchored is proved elsewhere.
    roots, genesis = {m: [pem] for m, pem in running.profile.organisation_roots.items()}, await genesis_of(running)
    report = await asyncio.to_thread(verify_package, out.read_bytes(), roots=roots, general_genesis=genesis)
    assert report.broken is None, report.broken
    assert len(report.rows) == told["rows"]
    await _is_a_reference(run, tmp_path, package.attachments)
    # Without the light node the package is made as well, and says what is not in it.
    await running.network.kill("ln-plant-1")
    again = (*asked, "--title", "late", "--out", str(tmp_path / "late.zip"))
    late = await asyncio.to_thread(lambda: run("package", *again))
    assert (late["rows"], late["files"], late["bodies"]) == (0, 0, 0)
    assert {each["part"] for each in late["missing"]} == {"rows", "files", "bodies"}
    assert {each["code"] for each in late["missing"]} <= {"CONNECTION_FAILED", "UNAVAILABLE"}
    await running.network.start("ln-plant-1")


async def _is_a_reference(run: Any, folder: Path, files: Mapping[str, bytes]) -> None:
    """The package's files of a PMU's batches, as they are called there, make a reference for recordings."""
    for name, data in files.items():
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(data)
    asked = (CASE, "--device", PMU, "--batches", str(folder / "files"), "--out", str(folder / "reference.csv"))
    told = await asyncio.to_thread(lambda: run("enf", "reference", *asked))
    assert len(told["batches"]) == len(files)
    lines = (folder / "reference.csv").read_text().splitlines()
    assert lines[0] == "time_s,frequency_hz"
    assert len(lines) == 1 + told["rows"] > 1


async def test_an_export_has_what_a_search_finds(run: Any, tmp_path: Path) -> None:
    await all_is_indexed(run)
    out = tmp_path / "timeline.jsonl"
    told = await asyncio.to_thread(run, "export", CASE, "--out", str(out), "--operator", "ivan")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["session-opened", "command-issued", "session-closed"]
    assert all(line["datetime"].endswith("+00:00") for line in lines)
    side = json.loads(out.with_name("timeline.jsonl.left-out.json").read_text())
    assert (side["rows"], side["queries"]) == (3, told["queries"])
    assert "is there already" in await asyncio.to_thread(
        lambda: run("export", CASE, "--out", str(out), "--operator", "ivan", code=1)
    )


async def genesis_of(running: ForensicsNetwork) -> str:
    async with cases_ledger(running.profile, await running.investigator()) as cases:
        return (await cases.network.get_block(0)).header.hash


def plain(running: ForensicsNetwork, identity: SigningIdentity, url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=client_tls(identity, client_roots(running)), base_url=url, timeout=20)


def client_roots(running: ForensicsNetwork) -> str:
    return read_roots(running.profile.roots)


def chaincode_of(running: ForensicsNetwork, channel: str) -> str:
    return next(iter(running.network.config.channels[channel].chaincodes))


async def refusal(client: NodeClient, body: dict[str, Any]) -> str:
    with pytest.raises(GridLedgerError) as refused:
        await client.post(path_of("cases", CASE, "rows"), jsontext.dumps(body))
    return refused.value.code
