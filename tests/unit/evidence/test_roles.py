"""Who chooses the chaincodes by which a package is judged: the reader, and never the packager."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gridledger.evidence import events
from gridledger.evidence.package import Package, Place, Roles, write_package
from gridledger.evidence.report import Outcome, Report, Step
from gridledger.evidence.roles import KnownRoles
from gridledger.evidence.verification import verify_package
from gridledger.protocol.config import ChaincodeDefinition
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, GENERAL, KNOWN, PACKAGE, ROLES, SECTION, Channel, EvidenceWorld
from tests.support.registry_channel import proof_key, prove, secret
from tests.unit.evidence.conftest import Story

FORGED = "f" * 64


def verified(world: EvidenceWorld, package: Package, roles: KnownRoles | None = KNOWN) -> Report:
    return verify_package(write_package(package), roots=world.roots, general_genesis=world.genesis, roles=roles)


def refused(world: EvidenceWorld, package: Package, roles: KnownRoles = KNOWN) -> Step:
    report = verified(world, package, roles)
    assert report.outcome is Outcome.BROKEN, report.to_dict()
    assert report.broken is not None
    return report.broken


def test_the_roles_that_the_reader_knows_are_a_step(story: Story) -> None:
    report = verified(story.world, story.package)
    assert report.exit_code == 0, report.broken
    told = [(step.file, step.message) for step in report.steps if step.name == "roles"]
    assert told[0] == ("manifest.json", "the chaincodes of anchors, devices and sections are those that you know")
    approved = f"section-plant approved the package {PACKAGE} and the policy OutOf(2, all)"
    said = f"for the role section stands the chaincode events on section-plant: {approved}"
    assert told[-1] == ("channels/section-plant/chain.json", said)
    assert [file for file, _ in told[1:]] == [f"channels/{name}/chain.json" for name in (GENERAL, DEVICES, SECTION)]


@pytest.mark.parametrize("known", [None, KnownRoles(ROLES, {})])
def test_what_the_reader_does_not_know_is_noted(known: KnownRoles | None, story: Story) -> None:
    report = verified(story.world, story.package, known)
    assert report.exit_code == 0, report.broken
    noted = [note for note in report.notes if "What you trust does not have it" in note]
    assert [note.split(":")[0] for note in noted] == [
        *("for the role anchoring stands the chaincode anchors on general",),
        *("for the role devices stands the chaincode registry on devices",),
        *("for the role section stands the chaincode events on section-plant",),
    ]
    assert all(f"approved the package {PACKAGE}" in note for note in noted)


def forge_registration(world: EvidenceWorld, channel: str, chaincode: str) -> Place:
    """A registration by Org1 alone, under a chaincode that takes what one organisation writes; its device's event."""
    der, name = world.person("lightnode").certificate.der, "pmu-8"
    digest = sha256(der).hexdigest()
    text = events.registration_text(channel, name, digest, proof_key(name))
    record = {"device": name, "proof_key": proof_key(name), "mspid": "Org1MSP", "certificate_sha256": digest}
    argument = {
        "device": name,
        "certificate": base64.b64encode(der).decode(),
        "proof": prove(secret(name), name, text),
    }
    forged = world.forced(
        channel,
        "RegisterDevice",
        argument,
        world.person("registrar"),
        writes={f"device/{name}": record},
        endorsers=("peer1",),
        chaincode=chaincode,
    )
    world.admit(name, world.tx_id(forged))
    return world.log(Device(name, SECTION))


def on_the_same_channel(world: EvidenceWorld, folder: Path) -> tuple[str, str]:
    paper = world.channels[DEVICES].paper
    chaincodes = {**paper.config.chaincodes, "mine": ChaincodeDefinition("mine", 1, "1", FORGED, "OutOf(1, all)")}
    world.channels[DEVICES].commit(paper.update(chaincodes=chaincodes))
    return DEVICES, "mine"


def on_a_channel_of_his_own(world: EvidenceWorld, folder: Path) -> tuple[str, str]:
    world.channels["elsewhere"] = Channel.begin(folder, "elsewhere", "registry", "OutOf(1, all)", "evidence")
    return "elsewhere", "registry"


@pytest.mark.parametrize("found", [on_the_same_channel, on_a_channel_of_his_own])
def test_devices_pointed_at_another_chaincode_are_refused(
    found: Callable[[EvidenceWorld, Path], tuple[str, str]], tmp_path: Path
) -> None:
    """All signatures, anchors and proofs hold: it is the wrong registry, of which the true one has no record."""
    world = EvidenceWorld(tmp_path)
    channel, chaincode = found(world, tmp_path)
    event = forge_registration(world, channel, chaincode)
    world.anchor(channel)
    world.anchor(SECTION)
    package = world.package(event, roles=replace(ROLES, devices=(channel, chaincode)))
    step = refused(world, package)
    assert (step.name, step.file) == ("roles", "manifest.json")
    assert step.message == f"it takes {chaincode} on {channel} for the role devices; known is registry on devices"
    # Who does not know the registry's name is told which chaincode stands for it, and what its channel approved.
    report = verified(world, package, None)
    assert report.exit_code == 0, report.broken
    assert [note for note in report.notes if f"the role devices stands the chaincode {chaincode} on {channel}" in note]


def test_a_chaincode_of_the_known_name_with_another_package_is_refused(tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)
    paper = world.channels[SECTION].paper
    changed = replace(paper.config.chaincodes["events"], version="2", package=FORGED, sequence=2)
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    before = world.log(device)
    world.channels[SECTION].commit(paper.update(chaincodes={"events": changed}))
    after = world.log(device)
    world.anchor(DEVICES)
    world.anchor(SECTION)
    assert verified(world, world.package(before)).exit_code == 0
    step = refused(world, world.package(after))
    assert (step.name, step.file) == ("roles", "channels/section-plant/chain.json")
    assert f"approved the package {FORGED}" in step.message
    assert step.message.endswith(f"; known is {PACKAGE}")
    both = KnownRoles(ROLES, {**KNOWN.packages, (SECTION, "events"): frozenset({PACKAGE, FORGED})})
    assert verified(world, world.package(before, after), both).exit_code == 0


@pytest.mark.parametrize(
    ("roles", "says"),
    [
        (replace(ROLES, anchoring=(GENERAL, "mine")), "takes mine on general for the role anchoring; known is anchors"),
        (
            replace(ROLES, sections={SECTION: "mine"}),
            "takes mine on section-plant for the role section; known is events",
        ),
        (replace(ROLES, sections={**ROLES.sections, DEVICES: "mine"}), "takes mine on devices for the role section"),
        (replace(ROLES, sections={}), "does not say that section-plant is a section"),
    ],
)
def test_a_manifest_with_other_roles_is_refused(roles: Roles, says: str, story: Story) -> None:
    step = refused(story.world, replace(story.package, roles=roles))
    assert (step.name, step.file) == ("roles", "manifest.json")
    assert says in step.message
