"""``register`` and ``update``: a file's record, submitted by the operator of an organisation."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.profile import CAEntry, ChannelEntry, ConnectionProfile, NodeEntry
from services.relay.__main__ import main
from services.relay.commands import registering
from services.relay.ledger import RelayLedger
from tests.support.processes import REPOSITORY
from tests.support.relay_channel import RelayChannel, client
from tests.support.relay_commands import ledger_on

OURS = str(REPOSITORY / "network-config" / "relays" / "rele1.yaml")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RelayChannel:
    """The commands act on this channel, as the operator of the organisation that they choose."""
    channel = RelayChannel()
    node = NodeEntry(url="https://127.0.0.1:1", organisation="Server5004", mspid="Server5004MSP")
    other = NodeEntry(url="https://127.0.0.1:2", organisation="Server5005", mspid="Server5005MSP")
    profile = ConnectionProfile(
        name="substation",
        channels={"substation": ChannelEntry(peers=("peer5004", "peer5005"))},
        peers={"peer5004": node, "peer5005": other},
        orderers={},
        ca=CAEntry(url="https://127.0.0.1:3", tls_root=tmp_path, organisations=("Server5004", "Server5005")),
        roots=tmp_path,
        organisations=tmp_path,
        applications={"relay": {"chaincode": "relay", "channel": "substation"}},
    )

    async def operator_identity(_: ConnectionProfile, organisation: str) -> Any:
        return organisation

    @asynccontextmanager
    async def relay_ledger(_: ConnectionProfile, organisation: Any) -> AsyncIterator[RelayLedger]:
        members = ("CustomersMSP", *(f"Server{number}MSP" for number in range(5004, 5008)))
        yield ledger_on(channel, client(f"{organisation}MSP", relay_role="operator"), members)

    monkeypatch.setattr(registering, "load_profile", lambda _: profile)
    monkeypatch.setattr(registering, "operator_identity", operator_identity)
    monkeypatch.setattr(registering, "relay_ledger", relay_ledger)
    return channel


def test_a_relay_is_registered_as_its_file_says(channel: RelayChannel, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    assert main(["register", OURS, "--address", f"http://127.0.0.1:{port}"]) == 0
    out, err = capsys.readouterr()
    assert out == "relay Rele_1 is registered: revision 1, operator Server5004MSP\n"
    assert err.splitlines()[0] == "whether servers read it: gridledger relay status --relay Rele_1"
    assert err.splitlines()[1].startswith(f"warning: nobody answers at http://127.0.0.1:{port} from here (")
    stored = channel.call("GetRelay", {"relay": "Rele_1"})
    assert (stored["address"], stored["quorum"], len(stored["servers"])) == (f"http://127.0.0.1:{port}", 3, 4)


@pytest.mark.usefixtures("channel")
def test_an_update_is_the_next_revision(capsys: pytest.CaptureFixture[str]):
    assert main(["register", OURS]) == 0
    assert main(["update", OURS, "--address", "http://127.0.0.1:6010", "--json"]) == 0
    stored = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (stored["revision"], stored["address"]) == (2, "http://127.0.0.1:6010")


@pytest.mark.usefixtures("channel")
def test_another_organisation_may_not_update(capsys: pytest.CaptureFixture[str]):
    assert main(["register", OURS]) == 0
    capsys.readouterr()
    assert main(["update", OURS, "--as", "Server5005"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Server5004MSP" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("channel")
def test_a_refusal_names_the_line_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "rele1.yaml"
    text = Path(OURS).read_text(encoding="utf-8")
    path.write_text(text.replace("quorum: 3", "quorum: 1"), encoding="utf-8")
    line = 1 + next(number for number, item in enumerate(text.splitlines()) if item.startswith("quorum"))
    assert main(["register", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {path}: quorum, line {line}: ")


@pytest.mark.parametrize("command", ["register", "update"])
def test_a_server_of_no_member_is_refused(
    command: str, channel: RelayChannel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if command == "update":
        assert main(["register", OURS]) == 0
        capsys.readouterr()
    path = tmp_path / "rele1.yaml"
    text = Path(OURS).read_text(encoding="utf-8")
    path.write_text(text.replace("Server5006MSP", "Server5006"), encoding="utf-8")
    before = channel.state.to_bytes()
    assert main([command, str(path)]) == 1
    line = 1 + next(number for number, item in enumerate(text.splitlines()) if "Server5006MSP" in item)
    assert capsys.readouterr().err == (
        f"error: {path}: servers[2].mspid, line {line}: Server5006 is no member of the channel; members: CustomersMSP, "
        "Server5004MSP, Server5005MSP, Server5006MSP, Server5007MSP\n"
    )
    assert channel.state.to_bytes() == before


@pytest.mark.usefixtures("channel")
def test_who_registers_twice_is_told_of_update(capsys: pytest.CaptureFixture[str]):
    assert main(["register", OURS]) == 0
    assert main(["register", OURS]) == 1
    assert "UpdateRelay replaces it (gridledger relay update FILE)" in capsys.readouterr().err


@pytest.mark.usefixtures("channel")
def test_a_relay_that_answers_is_no_warning(capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as relay:
        assert main(["register", OURS, "--address", f"http://127.0.0.1:{relay.getsockname()[1]}"]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("protocol", "address"),
    [
        ("modbus", "modbus://127.0.0.1:36120"),
        ("modbus", "127.0.0.1"),
        ("iec61850", "http://a:1"),
        ("c37118", "a:1"),
        ("text", "a:1"),
    ],
)
def test_an_address_of_no_use_is_refused(
    protocol: str, address: str, channel: RelayChannel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "rele1.yaml"
    lines = Path(OURS).read_text(encoding="utf-8").splitlines()
    number = 1 + next(index for index, line in enumerate(lines) if line.startswith("address:"))
    lines[number - 1] = f"address: {address}"
    text = "\n".join(lines).replace("protocol: text", f"protocol: {protocol}")
    path.write_text(text, encoding="utf-8")
    assert main(["register", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {path}: address, line {number}: the address '{address}' is no ")
    assert main(["register", str(path), "--address", address]) == 1
    assert capsys.readouterr().err.startswith(f"error: --address: the address '{address}' is no ")
    assert channel.call("ListRelays", {})["items"] == []
