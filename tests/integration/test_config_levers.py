"""A channel's configuration changed on a running network: by files that organisations sign, and by the verbs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.ca import CAClient
from gridledger.errors import GridLedgerError, PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.network.config_changes import Changed, change_config, present_config
from gridledger.network.config_edits import with_limits, with_policy
from gridledger.network.users import enroll_user
from gridledger.protocol.config import ChannelConfig
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork

pytestmark = pytest.mark.integration
CHANNEL = "shard3"
OWN_POLICY = "/Channel/Application/Org6MSP/Readers"


async def command(network: LocalNetwork, *arguments: str | Path, code: int = 0) -> str:
    """What a command prints; on standard error where it is to fail."""
    done = await asyncio.to_thread(gridledger, *arguments, "--dir", network.folder.root)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


async def configs(network: LocalNetwork) -> dict[str, ChannelConfig]:
    """The configuration at each peer of the channel, asked for one by one."""
    found = {}
    for peer in network.profile.channels[CHANNEL].peers:
        async with network.gateway(peer) as gateway:
            found[peer] = await gateway.get_network(CHANNEL).get_config()
    return found


async def test_an_update_goes_from_organisation_to_organisation(network: LocalNetwork, tmp_path: Path) -> None:
    fetched, edited, file = (tmp_path / name for name in ("fetched.json", "edited.json", "update.json"))
    await command(network, "channel", "fetch", "config", CHANNEL, "--output", fetched)
    plain = json.loads(fetched.read_text())
    before = plain["limits"]["proposal_window_s"]
    plain["limits"]["proposal_window_s"] = before + 1
    edited.write_text(json.dumps(plain))
    await command(network, "channel", "update", "compute", CHANNEL, "--to", edited, "--output", file)
    needs = f"limits/proposal_window_s changes from {before} to {before + 1}: needs /Channel/Admins (MAJORITY Admins); "
    assert needs in await command(network, "channel", "update", "show", file)

    await command(network, "channel", "update", "sign", file, "--user", "Org5/admin")
    refused = await command(network, "channel", "update", "submit", file, code=1)
    assert "is changed by /Channel/Admins (MAJORITY Admins), which the signatures do not meet" in refused
    assert refused.endswith("not signed by the admins of OrdererMSP, Org6MSP\n")
    assert {config.sequence for config in (await configs(network)).values()} == {plain["sequence"]}

    for organisation in ("Org6", "Orderer"):
        await command(network, "channel", "update", "sign", file, "--user", f"{organisation}/admin")
    again = await command(network, "channel", "update", "sign", file, "--user", "Org5/admin", code=1)
    assert again.startswith("error: 'admin' of Org5MSP has signed this update")
    told: Any = json.loads(await command(network, "channel", "update", "show", file, "--json"))
    assert (told["complete"], len(told["signers"])) == (True, 3)
    done: Any = json.loads(await command(network, "channel", "update", "submit", file, "--json"))
    assert (done["sequence"], done["behind"]) == (plain["sequence"] + 1, [])
    found = await configs(network)
    assert {config.limits.proposal_window_s for config in found.values()} == {before + 1}

    # One of the same configuration comes too late, whoever has signed it.
    stale = await command(network, "channel", "update", "show", file, code=1)
    assert f"{CHANNEL} is at {plain['sequence'] + 1}: make the update anew" in stale
    genesis: Any = json.loads(await command(network, "channel", "fetch", "genesis", CHANNEL))
    node = genesis["transactions"][0]["config"]["peers"]["peer5"]
    assert node["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    said = await command(network, "limits", "set", CHANNEL, f"proposal_window_s={before}")
    signed = "signed by Orderer/admin, Org5/admin, Org6/admin"
    assert said == f"{CHANNEL} has configuration {plain['sequence'] + 2}, {signed}\n"


async def test_verbs_have_those_sign_whose_affair_it_is(network: LocalNetwork, tmp_path: Path) -> None:
    sequence = (await present_config(network.profile, CHANNEL)).sequence
    own = ("policy", "set", CHANNEL, OWN_POLICY, "'Org6MSP.member'")
    refused = await command(network, *own, "--user", "Org5/admin", code=1)
    assert "organisations/Org6MSP/policies is changed by /Channel/Application/Org6MSP/Admins" in refused
    assert "not signed by the admins of Org6MSP (nobody here can sign): write the update into a file" in refused
    assert await command(network, *own) == f"{CHANNEL} has configuration {sequence + 1}, signed by Org6/admin\n"
    assert await command(network, *own) == f"{CHANNEL} has that already: configuration {sequence + 1} stays\n"

    acl = ("acl", "set", CHANNEL, "event/Block", "/Channel/Application/Readers")
    file = tmp_path / "acl.json"
    shown = await command(network, *acl, "--user", "Org5/admin", "--output", file)
    assert "acls/event/Block is added as /Channel/Application/Readers: needs /Channel/Application/Admins" in shown
    await command(network, "channel", "update", "sign", file, "--user", "Org6/admin")
    said = await command(network, "channel", "update", "submit", file)
    assert said == f"{CHANNEL} has configuration {sequence + 2}\n"
    back: Any = json.loads(await command(network, *acl[:-1], "/Channel/Readers", "--json"))
    assert (back["signers"], back["behind"]) == (["Org5/admin", "Org6/admin"], [])
    assert {config.acls.get("event/Block") for config in (await configs(network)).values()} == {None}


async def test_updates_made_at_once_take_effect_one_after_the_other(network: LocalNetwork) -> None:
    before = await present_config(network.profile, CHANNEL)

    async def bound(count: int) -> Changed:
        values = {"max_message_count": count} if count % 2 else {"min_interval_ms": count}
        return await change_config(network.profile, CHANNEL, lambda now: with_limits(now, values), orderers=True)

    found = await asyncio.gather(bound(4), bound(401), _own_policy(network, "OR('Org6MSP.admin', 'Org6MSP.peer')"))
    assert sorted(item.config.sequence - before.sequence for item in found) == [1, 2, 3]
    assert [item.behind for item in found] == [(), (), ()]
    after = await present_config(network.profile, CHANNEL)
    assert (after.batch.min_interval_ms, after.batch.max_message_count) == (4, 401)
    assert after.organisations["Org6MSP"].policies["Readers"] == "OR('Org6MSP.admin', 'Org6MSP.peer')"
    for orderer in network.profile.orderers:
        assert (await network.status(orderer, CHANNEL))["config_sequence"] == before.sequence + 3
    await change_config(network.profile, CHANNEL, lambda now: replace(now, batch=before.batch))
    await _own_policy(network, "OR('Org6MSP.admin', 'Org6MSP.peer', 'Org6MSP.client')")


async def _own_policy(network: LocalNetwork, text: str) -> Changed:
    return await change_config(network.profile, CHANNEL, lambda now: with_policy(now, OWN_POLICY, text))


async def test_a_revoked_admin_is_shut_out_of_its_node_first(network: LocalNetwork, tmp_path: Path) -> None:
    """The list that its organisation brings holds there at once; the channel goes on with it until it knows."""
    boss = await enroll_user(network.profile, "Org5", "boss", "admin", {})
    ca = CAClient(network.profile.ca.url, "Org5", network.profile.ca.tls_root)
    registrar = SigningIdentity.load(network.profile.user("Org5", "registrar"))
    await ca.revoke(registrar, "boss")
    lists = (await ca.crl()).encode()
    async with network.node("peer5", boss) as theirs, network.node("peer5") as ours:
        assert "commit_waiters" in await theirs.get_json("/status")
        await ours.post("/admin/revocations", lists)
        assert "commit_waiters" not in await theirs.get_json("/status")
        with pytest.raises(PermissionDeniedError):
            await theirs.post("/packages", b"x")
        assert (await theirs.get_json(f"/channels/{CHANNEL}"))["channel"] == CHANNEL

        said = await command(network, "crl", "publish", "--from-ca", "--organisation", "Org5")
        assert said.splitlines()[0] == "peer5 has the list"
        channels = [line.split()[0] for line in said.splitlines()[1:]]
        assert channels == ["mainchain", CHANNEL]
        assert said.count("signed by Org5/admin") == 2
        with pytest.raises(GridLedgerError) as caught:
            await theirs.get_json(f"/channels/{CHANNEL}")
        assert caught.value.code == "CERTIFICATE_REVOKED"
        file = tmp_path / "org5.crl"
        file.write_bytes(lists)
        again: Any = json.loads(await command(network, "crl", "publish", file, "--organisation", "Org5", "--json"))
        assert [item["changed"] for item in again["channels"].values()] == [False, False]
    async with network.node("orderer1") as node:
        with pytest.raises(GridLedgerError) as caught:
            await node.post("/admin/revocations", lists)
    assert caught.value.code == "BAD_MSP"
