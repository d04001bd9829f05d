"""What organisations that misuse their own keys can make, and a packager who lies: each is refused by its step."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gridledger.evidence import events
from gridledger.evidence.assembling import Anchored
from gridledger.evidence.package import Package, Place, write_package
from gridledger.evidence.report import Outcome, Step
from gridledger.evidence.verification import verify_package
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.events_channel import Device
from tests.support.evidence_world import AGENTS, DEVICES, GENERAL, SECTION, EvidenceWorld
from tests.support.paper import NOW_US
from tests.support.registry_channel import proof_key, prove, secret


@pytest.fixture
def world(tmp_path: Path) -> EvidenceWorld:
    """A world with one device, registered and admitted."""
    made = EvidenceWorld(tmp_path)
    made.register("pmu-7")
    return made


def refused(world: EvidenceWorld, package: Package) -> Step:
    report = verify_package(write_package(package), roots=world.roots, general_genesis=world.genesis)
    assert report.outcome is Outcome.BROKEN, report.to_dict()
    assert report.broken is not None
    return report.broken


def anchored(world: EvidenceWorld) -> EvidenceWorld:
    world.anchor(DEVICES)
    world.anchor(SECTION)
    return world


def told_valid(package: Package, place: Place) -> Package:
    """The packager says that a transaction of the anchoring channel is valid."""
    part = package.channels[place.channel]
    blocks = {**part.blocks, place.block: replace(part.blocks[place.block], codes=(Code.VALID,))}
    return replace(package, channels={**package.channels, place.channel: replace(part, blocks=blocks)})


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        ("stolen", Code.BAD_CREATOR_SIGNATURE, "the caller's signature under transaction 0 is not genuine"),
        ("unendorsed", Code.ENDORSEMENT_POLICY_FAILURE, "is not endorsed as its chaincode's policy asks"),
        ("orderer", Code.VALID, "attested by Org1MSP of Org1MSP, Org2MSP, Org3MSP; 2 are needed"),
    ],
)
def test_an_attestation_counts_for_who_signed_it_and_as_endorsed(
    how: str, code: Code, says: str, world: EvidenceWorld
) -> None:
    """Whose name is used, and whatever the packager says of the anchoring channel's codes."""
    event = world.log(Device("pmu-7", SECTION))
    world.anchor(DEVICES)
    world.set_members(SECTION)
    first = world.call(GENERAL, "Attest", world.head(SECTION), world.person("agent"))
    other = world.organisations["OrdererMSP"].issue("agent", "client", attributes={"anchor.role": "agent"})
    second = world.forced(
        GENERAL,
        "Attest",
        world.head(SECTION),
        other if how == "orderer" else world.person("agent", "Org2MSP"),
        reads={f"members/{SECTION}": world.members_version(SECTION)},
        endorsers=("peer1",) if how == "unendorsed" else ("peer1", "peer2"),
        signer=world.person("agent") if how == "stolen" else None,
    )
    assert world.channels[GENERAL].part(second.block).codes == (code,)
    attests = tuple((place.block, 0) for place in (first, second))
    world.anchors[SECTION] = [Anchored(world.channels[SECTION].height, attests)]
    step = refused(world, told_valid(world.package(event), second))
    assert step.name == "anchors"
    assert says in step.message


def test_a_record_with_organisations_that_the_channel_never_had_is_refused(world: EvidenceWorld) -> None:
    event = world.log(Device("pmu-7", SECTION))
    world.anchor(DEVICES)
    world.set_members(SECTION, organisations=["Org1MSP", "Org2MSP"])
    world.anchors[SECTION] = []
    world.anchor(SECTION)
    step = refused(world, world.package(event))
    assert (step.name, "that section-plant never had: Org1MSP, Org2MSP" in step.message) == ("anchors", True)


def attested_differently(world: EvidenceWorld) -> None:
    """Two agents attest one root, and another newest block below it."""
    world.set_members(SECTION)
    heads = (world.head(SECTION), world.head(SECTION, header_hash="ab" * 32))
    places = [
        world.call(GENERAL, "Attest", head, world.person("agent", mspid))
        for mspid, head in zip(AGENTS, heads, strict=True)
    ]
    world.anchors[SECTION] = [Anchored(world.channels[SECTION].height, tuple((place.block, 0) for place in places))]


def test_agents_who_attest_different_blocks_under_one_root_anchor_nothing(world: EvidenceWorld) -> None:
    device = Device("pmu-7", SECTION)
    event, newest = world.log(device), world.log(device)
    world.anchor(DEVICES)
    attested_differently(world)
    step = refused(world, world.package(event))
    assert (step.name, "with different hashes" in step.message) == ("anchors", True)
    step = refused(world, world.package(newest))
    assert (step.name, step.file) == ("anchors", f"channels/section-plant/{newest.block:012d}.block")
    assert "Org2MSP attested another block" in step.message


def test_anchors_that_were_judged_by_different_blocks_0_are_refused(world: EvidenceWorld) -> None:
    event = world.log(Device("pmu-7", SECTION))
    anchored(world)
    record = {"channel": SECTION, "organisations": ["Org1MSP", "Org2MSP", "Org3MSP"], "genesis": "ab" * 32}
    key = f"members/{SECTION}"
    written = world.forced(GENERAL, "SetMembers", record, world.person("agent"), writes={key: record})
    reads = {key: (written.block, 0)}
    forced = [
        world.forced(GENERAL, "Attest", world.head(SECTION), world.person("agent", mspid), reads=reads)
        for mspid in AGENTS
    ]
    attests = world.anchors[SECTION][0].attests[:1] + tuple((place.block, 0) for place in forced[1:])
    world.anchors[SECTION] = [replace(world.anchors[SECTION][0], attests=attests)]
    step = refused(world, world.package(event))
    assert (step.name, "judged by different blocks 0" in step.message) == ("anchors", True)
    # All by the false one: the section's own block 0 is another.
    world.anchors[SECTION] = [
        replace(world.anchors[SECTION][0], attests=tuple((place.block, 0) for place in forced)),
    ]
    step = refused(world, world.package(event))
    assert (step.name, step.file) == ("genesis", "channels/section-plant/000000000000.block")


@pytest.mark.parametrize("changes", [{"proof_key": proof_key("pmu-8", 2)}, {"mspid": "Org2MSP"}])
def test_a_device_that_is_admitted_otherwise_than_it_was_registered_is_refused(
    changes: dict[str, str], world: EvidenceWorld
) -> None:
    """Another key or organisation: a section's contract cannot see the registration."""
    registration = world.call(DEVICES, "RegisterDevice", world.registering("pmu-8"), world.person("registrar"))
    wanted = {"device": "pmu-8", "mspid": "Org1MSP", "proof_key": proof_key("pmu-8"), "tx": world.tx_id(registration)}
    wanted |= changes
    world.call(SECTION, "AdmitDevice", wanted, world.person("registrar", wanted["mspid"]))
    device = Device("pmu-8", SECTION)
    device.key = 2 if "proof_key" in changes else 1
    argument = device.argument(time_us=NOW_US)
    event = world.call(SECTION, "LogEvent", argument, world.person("lightnode", wanted["mspid"]))
    anchored(world)
    step = refused(world, world.package(event))
    assert (step.name, step.file) == ("registrations", f"channels/devices/{registration.block:012d}.block")
    assert step.message == "pmu-8 is admitted with another key or MSP than it was registered"


@pytest.mark.parametrize("wrong", ["proof", "certificate"])
def test_a_registration_without_proof_of_the_key_is_refused(wrong: str, world: EvidenceWorld) -> None:
    """Peers of devices that endorse anything."""
    der = world.person("lightnode").certificate.der
    name, digest = "pmu-8", sha256(der).hexdigest()
    record = {"device": name, "proof_key": proof_key(name), "mspid": "Org1MSP", "certificate_sha256": digest}
    told = "elsewhere" if wrong == "proof" else DEVICES
    text = events.registration_text(told, name, digest, proof_key(name))
    argument = {
        "device": name,
        "certificate": base64.b64encode(der + b"." if wrong == "certificate" else der).decode(),
        "proof": prove(secret(name), name, text),
    }
    registrar = world.person("registrar")
    place = world.forced(DEVICES, "RegisterDevice", argument, registrar, writes={f"device/{name}": record})
    world.admit(name, world.tx_id(place))
    event = world.log(Device(name, SECTION))
    anchored(world)
    step = refused(world, world.package(event))
    assert (step.name, "the proof that pmu-8 has its key does not hold" in step.message) == ("registrations", True)


@pytest.mark.parametrize(
    ("again", "says"), [(True, "has two events 1"), (False, "event 2 of pmu-7 does not follow event 1")]
)
def test_events_that_do_not_follow_one_another_are_refused(again: bool, says: str, world: EvidenceWorld) -> None:
    """A device, or who has its key, that tells another past to peers that let it."""
    event = world.log(Device("pmu-7", SECTION))
    liar = Device("pmu-7", SECTION)
    argument: dict[str, Any] = liar.argument("alarm", NOW_US, {"other": "past"})
    if not again:
        argument = liar.argument("alarm", NOW_US)
    reads = {"device/pmu-7": (1, 0)}
    forced = world.forced(SECTION, "LogEvent", argument, world.person("lightnode"), reads=reads)
    anchored(world)
    step = refused(world, world.package(event, forced))
    assert (step.name, step.file) == ("chains", f"channels/section-plant/{forced.block:012d}.block")
    assert says in step.message


def cosigned(world: EvidenceWorld, device: Device) -> Place:
    """An event under anchors that one transaction of one agent made final."""
    event = world.log(device)
    world.anchor(DEVICES)
    world.set_agents()
    world.set_members(SECTION)
    world.anchors[SECTION] = []
    world.cosign(SECTION)
    return event


def test_statements_that_agents_signed_anchor_as_their_transactions_do(world: EvidenceWorld) -> None:
    device = Device("pmu-7", SECTION)
    event = cosigned(world, device)
    world.log(device)
    world.cosign(SECTION)
    report = verify_package(write_package(world.package(event)), roots=world.roots, general_genesis=world.genesis)
    assert (report.outcome.value, report.exit_code) == ("proved", 0)


@pytest.mark.parametrize(
    ("signer", "on_record_by", "says"),
    [
        ("Org1MSP", "Org2MSP", "the statement of Org2MSP in transaction 0 is not signed with its agent's key"),
        ("Org1MSP", "Org1MSP", "did not put the agent of Org2MSP on record"),
    ],
)
def test_a_statement_counts_for_whose_registered_key_signed_it(
    signer: str, on_record_by: str, says: str, world: EvidenceWorld
) -> None:
    """Whatever a majority of the anchoring channel's peers have endorsed: one agent signs in another's name."""
    event = cosigned(world, Device("pmu-7", SECTION))
    world.anchors[SECTION] = []
    mspids = ("Org1MSP", "Org2MSP")
    one = world.cosigning(SECTION, {"Org1MSP": world.person("agent"), "Org2MSP": world.person("agent", signer)})
    record = {"mspid": "Org2MSP", "url": "https://x", "key": "K", "time_us": 1}
    agents = {
        mspid: world.forced(
            GENERAL,
            "SetAgent",
            {"url": "https://x"},
            world.person("agent", mspid if mspid == "Org1MSP" else on_record_by),
            writes={f"agent/{mspid}": record},
        )
        for mspid in mspids
    }
    reads = {f"members/{SECTION}": world.members_version(SECTION)}
    reads |= {f"agent/{mspid}": (place.block, 0) for mspid, place in agents.items()}
    writes = {f"attest/{SECTION}/{one['size']:012d}/{mspid}": {"x": 1} for mspid in mspids}
    place = world.forced(GENERAL, "Cosign", {"rounds": [one]}, world.person("agent"), reads=reads, writes=writes)
    world.anchors[SECTION] = [Anchored(one["size"], ((place.block, 0),))]
    step = refused(world, world.package(event))
    assert step.name == "anchors"
    assert says in step.message
