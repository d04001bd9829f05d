"""Evidence packages: a true one is proved, and every forgery is refused with the step and the file that is wrong."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.evidence import package as form
from gridledger.evidence.assembling import Anchored
from gridledger.evidence.canonical_zip import pack, unpack
from gridledger.evidence.off_chain import Body
from gridledger.evidence.package import BlockPart, Package, Place, write_package
from gridledger.evidence.report import Outcome, Report, Step
from gridledger.evidence.verification import verify_package
from gridledger.protocol.block import Block, HeaderSignature
from gridledger.protocol.codes import TxValidationCode as Code
from tests.support.events_channel import Device
from tests.support.evidence_world import DEVICES, GENERAL, SECTION, EvidenceWorld
from tests.support.paper import NOW_US, signed_block
from tests.unit.evidence.conftest import ROWS, Story


def verified(story: Story, data: bytes | Package, **trusted: Any) -> Report:
    data = data if isinstance(data, bytes) else write_package(data)
    known = {"roots": story.world.roots, "general_genesis": story.world.genesis, **trusted}
    return verify_package(data, **known)


def broken(report: Report) -> Step:
    assert report.outcome is Outcome.BROKEN, report.to_dict()
    assert report.exit_code == 1
    assert report.broken is not None
    assert report.broken is report.steps[-1]
    return report.broken


def test_a_true_package_is_proved(story: Story) -> None:
    report = verified(story, story.data)
    assert report.broken is None, report.broken
    assert (report.outcome, report.exit_code) == (Outcome.PROVED, 0)
    assert [(item.seq, item.kind) for item in report.events] == [
        *((1, "alarm"), (2, "frequency"), (3, "alarm"), (4, "alarm"), (5, "alarm"), (6, "reading"), (7, "batch"))
    ]
    assert {item.device for item in report.events} == {"pmu-7"}
    assert [(item.function, item.mspid, item.signer) for item in report.transactions][-1] == (
        *("LogBatch", "Org1MSP", "lightnode"),
    )
    assert report.organisations[SECTION] == (("Org1MSP", "Org2MSP"), 2)
    sizes = [item.size for item in story.world.anchors[SECTION]]
    assert {item.anchored for item in report.transactions} == set(sizes)
    assert report.disclosed == len(story.package.disclosed()) > 0
    assert "rows.parquet" in {item.file.rpartition("/")[2] for item in report.steps}
    assert jsontext.loads(jsontext.dumps(report.to_dict()))["outcome"] == "proved"


def test_a_package_is_always_the_same_bytes_and_every_unzip_reads_it(story: Story) -> None:
    assert write_package(form.read_package(story.data)) == story.data
    with zipfile.ZipFile(BytesIO(story.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[:3] == ["manifest.json", "README.txt", "verify.pyz"]
        manifest = jsontext.loads(archive.read("manifest.json"))
    assert manifest["about"] == {"case": "2026-17"}
    assert manifest["disclosed"] == [[item.channel, item.block, item.index] for item in story.package.disclosed()]


def test_another_network_is_refused_though_all_of_it_fits_together(story: Story, tmp_path: Path) -> None:
    forged = EvidenceWorld(tmp_path, "forged")
    # Of the true network one organisation's CA makes everything that is its own.
    forged.register("pmu-7")
    place = forged.log(Device("pmu-7", SECTION))
    forged.anchor(DEVICES)
    forged.anchor(SECTION)
    data = write_package(forged.package(place))
    assert verify_package(data, roots=forged.roots, general_genesis=forged.genesis).exit_code == 0
    step = broken(verified(story, data))
    assert (step.name, step.file) == ("genesis", "channels/general/000000000000.block")
    # Even for a reader who has been given the forged block 0 the roots are others.
    step = broken(verified(story, data, general_genesis=forged.genesis))
    assert (step.name, step.file) == ("roots", "channels/general/000000000000.block")
    # ... and one CA makes no majority.
    one = {**story.world.roots, "Org1MSP": forged.roots["Org1MSP"]}
    assert broken(verified(story, data, general_genesis=forged.genesis, roots=one)).name == "roots"
    none = {mspid: pems for mspid, pems in forged.roots.items() if mspid != "Org3MSP"}
    step = broken(verify_package(data, roots=none, general_genesis=forged.genesis))
    assert (step.name, "Org3MSP, of which no root is trusted" in step.message) == ("roots", True)


def test_one_organisation_anchors_nothing(story: Story, tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)  # the same keys as the story's
    world.register("pmu-7")
    place = world.log(Device("pmu-7", SECTION))
    world.anchor(DEVICES)
    world.set_members(SECTION)
    attest = world.call(GENERAL, "Attest", world.head(SECTION), world.person("agent"))
    world.anchors[SECTION] = [Anchored(world.channels[SECTION].height, ((attest.block, 0),))]
    step = broken(verified(story, world.package(place)))
    assert (step.name, step.file) == ("anchors", "channels/section-plant/chain.json")
    assert "attested by Org1MSP of Org1MSP, Org2MSP, Org3MSP; 2 are needed" in step.message


def test_an_invalid_transaction_with_a_perfect_path_is_refused(story: Story) -> None:
    package = story.world.package(story.invalid)
    step = broken(verified(story, package))
    assert (step.name, step.file) == ("transactions", "channels/section-plant/chain.json")
    assert "ENDORSEMENT_POLICY_FAILURE" in step.message
    # Told as valid, it is another block for the anchor.
    lie = with_block(package, story.invalid, codes=(Code.VALID,))
    step = broken(verified(story, lie))
    assert (step.name, step.file) == ("paths", f"channels/section-plant/{story.invalid.block:012d}.block")
    assert "or the same with other codes" in step.message


def test_what_is_not_anchored_yet_is_not_proved(story: Story) -> None:
    report = verified(story, story.world.package(story.late))
    assert (report.outcome, report.exit_code) == (Outcome.NOT_ANCHORED, 3)
    assert (
        f"block {story.late.block} of section-plant is not anchored yet, so what rests on it is not proved"
        in report.notes
    )
    # Without any anchor nothing says which block 0 is the section's.
    report = verified(story, story.world.package(story.said[0], anchors={}))
    assert report.exit_code == 3


def test_an_event_whose_registration_is_not_anchored_is_not_proved(story: Story, tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)
    world.register("pmu-7")
    place = world.log(Device("pmu-7", SECTION))
    world.anchor(SECTION)
    report = verified(story, world.package(place))
    assert report.exit_code == 3
    assert "block 1 of devices is not anchored yet, so what rests on it is not proved" in report.notes


def with_block(package: Package, place: Place, **changes: Any) -> Package:
    """The package with one of its blocks changed, all the rest made to fit."""
    part = package.channels[place.channel]
    blocks = {**part.blocks, place.block: replace(part.blocks[place.block], **changes)}
    return replace(package, channels={**package.channels, place.channel: replace(part, blocks=blocks)})


def without_block(package: Package, channel: str, number: int) -> Package:
    part = package.channels[channel]
    blocks = {key: item for key, item in part.blocks.items() if key != number}
    return replace(package, channels={**package.channels, channel: replace(part, blocks=blocks)})


def with_anchors(package: Package, change: Callable[[list[Any]], list[Any]], channel: str = SECTION) -> Package:
    part = package.channels[channel]
    anchors = tuple(change(list(part.anchors)))
    return replace(package, channels={**package.channels, channel: replace(part, anchors=anchors)})


def forged_block(story: Story, part: BlockPart, change: Callable[[bytes], bytes]) -> dict[str, Any]:
    """Another block in its place, which an orderer of the channel signed."""
    header, paper = part.block.header, story.world.channels[SECTION].paper
    block = Block.build(
        channel=header.channel,
        number=header.number,
        previous_hash=header.previous_hash,
        timestamp_us=header.timestamp_us,
        envelopes=[change(item) for item in part.block.envelopes],
    )
    return {"block": block, "signature": signed_block(block, paper.orderers["orderer2"]).signature}


def first(story: Story) -> tuple[Place, BlockPart]:
    place = story.said[0]
    return place, story.package.channels[SECTION].blocks[place.block]


def said_by(story: Story, orderer: str) -> HeaderSignature:
    """The signature of the first event's block, under another orderer's name."""
    signature = first(story)[1].signature
    assert signature is not None
    return HeaderSignature(story.world.channels[SECTION].paper.orderers[orderer].fingerprint, signature.signature)


def other_alarm(envelope: bytes) -> bytes:
    return envelope.replace(b"event 1", b"event 9")


FORGERIES: dict[str, tuple[Callable[[Story], Package], str, str]] = {
    "a block that nobody signed": (
        lambda s: with_block(s.package, s.said[0], signature=None),
        *("signatures", "no orderer has signed"),
    ),
    "a block that another orderer is said to have signed": (
        lambda s: with_block(s.package, s.said[0], signature=said_by(s, "orderer3")),
        *("signatures", "is not genuine"),
    ),
    "a block that a peer signed": (
        lambda s: with_block(
            s.package,
            s.said[0],
            signature=signed_block(first(s)[1].block, s.world.channels[SECTION].paper.peers["peer1"]).signature,
        ),
        *("signatures", "by no orderer of the channel"),
    ),
    "a block with another transaction, by an orderer's own hand": (
        lambda s: with_block(s.package, s.said[0], **forged_block(s, first(s)[1], other_alarm)),
        *("blocks", "it does not continue"),
    ),
    "a block with transactions that its header does not have": (
        lambda s: with_block(
            s.package,
            s.said[0],
            block=replace(first(s)[1].block, envelopes=(other_alarm(first(s)[1].block.envelopes[0]),)),
        ),
        *("blocks", "are not those of its header"),
    ),
    "another commit hash before": (
        lambda s: with_block(s.package, s.said[0], previous_commit_hash="ab" * 32),
        *("commit hashes", "is not that after"),
    ),
    "a code more": (
        lambda s: with_block(s.package, s.said[0], codes=(Code.VALID, Code.VALID)),
        *("blocks", "another count of transactions than codes"),
    ),
    "a path of another block": (
        lambda s: with_block(s.package, s.said[0], path=s.package.channels[SECTION].blocks[s.said[1].block].path),
        *("paths", "has another block"),
    ),
    "no path": (lambda s: with_block(s.package, s.said[0], path=None), "paths", "has no path"),
    "an anchor left out that its paths lead to": (
        lambda s: with_anchors(s.package, lambda items: [replace(items[1], consistency=())]),
        *("paths", "has no path to the anchor at"),
    ),
    "a consistency proof of nothing": (
        lambda s: with_anchors(s.package, lambda items: [items[0], replace(items[1], consistency=(bytes(32),))]),
        *("consistency", "is not shown to begin with"),
    ),
    "a head that was not attested": (
        lambda s: with_anchors(s.package, lambda items: [items[0], replace(items[1], root="ab" * 32)]),
        *("anchors", "does not attest the head"),
    ),
    "an attestation of another size": (
        lambda s: with_anchors(s.package, lambda items: [items[0], replace(items[1], attests=items[0].attests)]),
        *("anchors", "does not attest the head"),
    ),
    "an attestation that is none": (
        lambda s: with_anchors(s.package, lambda items: [replace(items[0], attests=((2, 0),)), items[1]]),
        *("anchors", "is no Attest and no Cosign of the chaincode anchors"),
    ),
    "another channel's blocks": (
        lambda s: replace(
            s.package,
            channels={**s.package.channels, SECTION: replace(s.package.channels[DEVICES], anchors=())},
        ),
        *("blocks", "it is a block of 'devices'"),
    ),
    "an attestation that counts twice": (
        lambda s: with_anchors(
            s.package, lambda items: [replace(items[0], attests=items[0].attests[:1] * 2), items[1]]
        ),
        *("anchors", "2 are needed"),
    ),
    "no registration": (
        lambda s: without_block(s.package, DEVICES, 1),
        *("registrations", "which is not in the package"),
    ),
    "no admission": (lambda s: without_block(s.package, SECTION, 1), "admissions", "it is missing"),
    "no record of members": (
        lambda s: without_block(s.package, GENERAL, 2),
        *("anchors", "it is missing"),
    ),
    "no channel of devices": (
        lambda s: replace(s.package, channels={k: v for k, v in s.package.channels.items() if k != DEVICES}),
        *("registrations", "nothing of the channel of devices"),
    ),
    "no anchoring channel": (
        lambda s: replace(s.package, channels={k: v for k, v in s.package.channels.items() if k != GENERAL}),
        *("genesis", "nothing of the anchoring channel general"),
    ),
    "no block 0": (lambda s: without_block(s.package, SECTION, 0), "configurations", "it is missing"),
    "the anchoring channel under another name": (
        lambda s: replace(s.package, roles=replace(s.package.roles, anchoring=(SECTION, "events"))),
        *("genesis", "is trusted"),
    ),
    "no evidence": (lambda s: replace(s.package, evidence=()), "transactions", "names no transaction"),
    "evidence that is not there": (
        lambda s: replace(s.package, evidence=(Place(SECTION, first(s)[0].block, 1),)),
        *("transactions", "there is no transaction 1"),
    ),
    "evidence on a channel that is not there": (
        lambda s: replace(s.package, evidence=(Place("other", 1, 0),)),
        *("transactions", "nothing of the channel other"),
    ),
    "another body": (
        lambda s: replace(s.package, bodies=(replace(s.package.bodies[0], body='{"kwh":18}'),)),
        *("bodies", "another body, or another salt"),
    ),
    "a body of no event": (
        lambda s: replace(s.package, bodies=(replace(s.package.bodies[0], seq=8),)),
        *("bodies", "is not in the package"),
    ),
    "another file of rows": (
        lambda s: replace(s.package, attachments={"rows.parquet": ROWS + b"."}),
        *("attachments", "no batch of the package"),
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_whose_manifest_fits_is_refused_by_its_step(forgery: str, story: Story) -> None:
    forge, name, says = FORGERIES[forgery]
    step = broken(verified(story, forge(story)))
    assert step.name == name, step
    assert says in step.message, step
    assert step.file


def test_a_configuration_that_is_left_out_is_missed(story: Story, tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)
    section = world.channels[SECTION]
    limits = section.paper.config.batch
    for count in (5, 6):
        section.commit(section.paper.update(batch=replace(limits, max_message_count=count)))
    world.register("pmu-7")
    place = world.log(Device("pmu-7", SECTION))
    world.anchor(DEVICES)
    world.anchor(SECTION)
    package = world.package(place)
    assert verified(story, package).exit_code == 0
    step = broken(verified(story, without_block(package, SECTION, 1)))
    assert (step.name, step.file) == ("configurations", "channels/section-plant/000000000002.block")


def test_events_after_a_revocation_are_marked(story: Story, tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    before = world.log(device)
    revoked = world.call(DEVICES, "Revoke", {"device": "pmu-7", "reason": "stolen"}, world.person("registrar"))
    after = [world.log(device), world.log(device)]
    world.anchor(DEVICES)
    world.anchor(SECTION)
    # Nobody names the revocation as evidence: the package has it, as the registry tells of each device.
    report = verified(story, world.package(before, *after))
    assert report.exit_code == 0, report.broken
    # The revocation is block 2 of devices, a second behind block 1; events 1 to 3 are blocks 2 to 4 of the section.
    assert [(item.seq, item.marks) for item in report.events] == [
        (1, ("revoked-late",)), (2, ("revoked-late",)), (3, ("revoked-late",))
    ]  # fmt: skip
    assert revoked.block in world.package(before).channels[DEVICES].blocks


def test_a_suspension_is_its_callers_word_and_marks_nothing(story: Story, tmp_path: Path) -> None:
    world = EvidenceWorld(tmp_path)
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    said = world.log(device)
    lie = {"device": "pmu-7", "tx": "ab" * 32, "revoked_us": 1}
    world.call(SECTION, "SuspendDevice", lie, world.person("registrar", "Org2MSP"))
    world.anchor(DEVICES)
    world.anchor(SECTION)
    report = verified(story, world.package(said))
    assert (report.exit_code, [item.marks for item in report.events]) == (0, [()])


def test_a_retirement_marks_as_a_revocation_does_and_proves_nothing_before_it_is_anchored(
    story: Story, tmp_path: Path
) -> None:
    world = EvidenceWorld(tmp_path)
    world.register("pmu-7")
    device = Device("pmu-7", SECTION)
    world.anchor(DEVICES)
    retired = world.call(DEVICES, "Retire", {"device": "pmu-7"}, world.person("registrar"))
    said = [world.log(device) for _ in range(3)]
    world.anchor(SECTION)
    report = verified(story, world.package(*said))
    assert [item.marks for item in report.events][-1] == ("revoked-late",)
    assert report.exit_code == 3
    assert f"block {retired.block} of devices is not anchored yet, so what rests on it is not proved" in report.notes


def test_events_of_several_devices_in_one_transaction_are_each_proved_by_its_own_key(
    story: Story, tmp_path: Path
) -> None:
    world = EvidenceWorld(tmp_path)  # the same keys as the story's
    names = ("pmu-7", "pmu-8")
    devices = []
    for name in names:
        world.register(name)
        device = Device(name, SECTION)
        devices.append({"device": name, "events": [device.tell("alarm", NOW_US + number) for number in range(2)]})
    place = world.call(SECTION, "LogDevices", {"devices": devices}, world.person("lightnode"))
    world.anchor(DEVICES)
    world.anchor(SECTION)
    report = verified(story, write_package(world.package(place)))
    assert report.exit_code == 0
    assert [(item.device, item.seq) for item in report.events] == [(name, seq) for name in names for seq in (1, 2)]
    assert len({item.proof_key for item in report.events}) == 2


def test_what_a_package_leaves_out_of_a_chain_of_events_is_told(story: Story) -> None:
    report = verified(story, story.world.package(story.said[1], story.said[4]))
    assert report.exit_code == 0, report.broken
    assert "event 1 of pmu-7 on section-plant are not in the package" in report.notes
    assert "events 3 to 6 of pmu-7 on section-plant are not in the package" in report.notes


def test_evidence_on_the_anchoring_channel_is_told_with_what_it_rests_on(story: Story) -> None:
    place = Place(GENERAL, 1, 0)
    report = verified(story, story.world.package(place, anchors={}))
    assert report.exit_code == 0, report.broken
    assert any("their validation codes are told and not anchored" in note for note in report.notes)
    assert report.transactions[0].function == "SetMembers"


def repacked(story: Story, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> bytes:
    """The archive with other files, as the archive itself must be."""
    return pack(change(dict(unpack(story.data))))


def remade(name: str, content: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """A file changed, and its SHA-256 in the manifest with it."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        manifest = jsontext.loads(files["manifest.json"])
        files[name] = content
        manifest["files"][name] = sha256(content).hexdigest()
        return {**files, "manifest.json": jsontext.dumps(manifest)}

    return change


def told_again(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """The manifest changed."""
    return lambda files: {**files, "manifest.json": jsontext.dumps(change(jsontext.loads(files["manifest.json"])))}


def in_another_order(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files but the first the other way round, in the manifest too."""
    turned = {name: files[name] for name in ("manifest.json", *reversed(list(files)[1:]))}
    return told_again(lambda told: told | {"files": dict(reversed(told["files"].items()))})(turned)


def test_files_that_no_package_has_are_refused(story: Story) -> None:
    chain = dict(unpack(story.data))[form.chain_file(SECTION)]
    for change, step, file in (
        (remade("notes.txt", b"x"), "form", "notes.txt"),
        (lambda files: {**files, "notes.txt": b"x"}, "manifest", "manifest.json"),
        (lambda files: {name: files[name] for name in files if name != "README.txt"}, "manifest", "manifest.json"),
        (lambda files: {"README.txt": files["README.txt"], **files}, "form", "manifest.json"),
        (
            remade(form.chain_file(SECTION), chain.replace(b'"blocks":', b'"blocks": ')),
            "form",
            form.chain_file(SECTION),
        ),
        (remade(form.chain_file(SECTION), b"{}"), "form", form.chain_file(SECTION)),
        (lambda files: {**files, "manifest.json": b"{}"}, "form", "manifest.json"),
        (lambda files: {**files, "README.txt": b"trust me"}, "manifest", "README.txt"),
        (told_again(lambda told: told | {"disclosed": told["disclosed"][1:]}), "manifest", "manifest.json"),
        (told_again(lambda told: dict(reversed(told.items()))), "manifest", "manifest.json"),
        (in_another_order, "form", "manifest.json"),
    ):
        found = broken(verified(story, repacked(story, change)))
        assert (found.name, found.file) == (step, file)


def test_other_archives_are_refused(story: Story) -> None:
    deflated = BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in unpack(story.data).items():
            archive.writestr(name, content)
    for data in (
        *(b"", b"PK", b"x" * 100, story.data[:-1], story.data + b"\0", b"\0" + story.data, deflated.getvalue()),
        story.data[:-2] + struct.pack("<H", 1) + b"c",
        story.data + story.data,
    ):
        assert broken(verified(story, data)).name == "form"


def file_at(data: bytes, position: int) -> str:
    """The file in whose head or bytes a position of the archive lies."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        if position >= archive.start_dir:
            return "directory"
        return [item.filename for item in archive.infolist() if item.header_offset <= position][-1]


def check_flips(story: Story, count: int, seed: int) -> None:
    draw = random.Random(seed)
    with zipfile.ZipFile(BytesIO(story.data)) as archive:
        starts = [item.header_offset for item in archive.infolist()] + [archive.start_dir, len(story.data)]
    # Some in every file, and the others anywhere.
    chosen = [draw.randrange(low, high) for low, high in pairwise(starts)]
    chosen += [draw.randrange(len(story.data)) for _ in range(count - len(chosen))]
    for position in chosen:
        changed = bytearray(story.data)
        changed[position] ^= 1 << draw.randrange(8)
        step = broken(verified(story, bytes(changed)))
        file = file_at(story.data, position)
        # A name that is not the same in the directory and at the file is told with both.
        assert step.file == file or (step.file == "directory" and file in step.message), (position, step)


def test_a_flipped_bit_anywhere_is_refused_and_its_file_named(story: Story) -> None:
    check_flips(story, 200, 17)


@pytest.mark.deep
def test_of_1000_flipped_bits_each_is_refused_and_its_file_named(story: Story) -> None:
    check_flips(story, 1000, 2026)


def flipped_inside(story: Story, name: str, seed: int) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """A bit of a file flipped, and its SHA-256 in the manifest made to fit."""
    content = bytearray(dict(unpack(story.data))[name])
    draw = random.Random(f"{name} {seed}")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return remade(name, bytes(content))


@pytest.mark.parametrize("seed", range(3))
def test_a_bit_flipped_by_the_packager_himself_is_refused(seed: int, story: Story) -> None:
    free = {"manifest.json", "README.txt", "verify.pyz"}
    for name in unpack(story.data):
        if name not in free:
            assert broken(verified(story, repacked(story, flipped_inside(story, name, seed)))), name


def test_the_frames_of_a_block_with_something_behind_them_are_refused(story: Story) -> None:
    name = form.block_file(SECTION, story.said[0].block)
    content = dict(unpack(story.data))[name]
    step = broken(verified(story, repacked(story, remade(name, content + b"\0"))))
    assert (step.name, step.file) == ("form", name)
    block = Block.from_bytes(content + framing.frame(b"{}"))
    step = broken(verified(story, with_block(story.package, story.said[0], block=block)))
    assert (step.name, step.file) == ("blocks", name)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("proof", "the proof of event 2 of pmu-7 in transaction 0 does not hold"),
        ("text", "does not hold"),
        ("reads", "did not read the record of pmu-7"),
        ("function", "is no LogEvent that can be read"),
    ],
)
def test_what_peers_endorsed_without_running_the_contract_is_looked_at(
    wrong: str, says: str, story: Story, tmp_path: Path
) -> None:
    """Should all peers of a section have endorsed anything, the verifier still checks what devices proved."""
    world = EvidenceWorld(tmp_path)
    world.register("pmu-7")
    device, elsewhere = Device("pmu-7", SECTION), Device("pmu-7", "section-home")
    good, _ = world.log(device), elsewhere.argument(time_us=NOW_US)
    argument = device.argument(time_us=NOW_US)
    if wrong == "proof":
        argument["proof"] = elsewhere.argument(time_us=NOW_US)["proof"]
    elif wrong == "text":
        argument["time_us"] += 1
    elif wrong == "function":
        del argument["seq"]
    reads = {} if wrong == "reads" else {"device/pmu-7": (1, 0)}
    forced = world.forced(SECTION, "LogEvent", argument, world.person("lightnode"), reads=reads)
    world.anchor(DEVICES)
    world.anchor(SECTION)
    step = broken(verified(story, world.package(good, forced)))
    assert (step.name, step.file) == ("events", f"channels/section-plant/{forced.block:012d}.block")
    assert says in step.message


def test_bodies_are_of_sections_of_the_package_only(story: Story) -> None:
    stranger = replace(story.package, bodies=(Body("other", "pmu-7", 6, "00" * 16, "{}"),))
    assert broken(verified(story, stranger)).name == "bodies"
