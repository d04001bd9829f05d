"""The evidence package: one zip of one form, with all that it takes to verify its transactions offline.

    manifest.json               what the package is about, its transactions, the SHA-256 of every other file
    README.txt                  how to verify it, and what that shows
    verify.pyz                  the verifier, for Python with cryptography
    bodies.json                 bodies that stay off the chain, with their salts; only where there are any
    rows.json                   rows of batches, each with its Merkle path to the batch's root; only where there are any
    attachments/NAME            files that batches name by their SHA-256
    channels/C/chain.json       of each block: codes, commit hash before it, orderer's signature, Merkle path; anchors
    channels/C/NUMBER.block     a block as it is on the chain (frames of header and envelopes), 12 digits

A package has the blocks of its transactions whole, as the commit hash covers whole blocks, and of each channel all
blocks with configurations up to there. This module reads and writes the form; what it is worth is for
:mod:`gridledger.evidence.verification` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.evidence import canonical_zip
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.off_chain import (
    BODIES,
    ROWS,
    Body,
    RowPart,
    bodies_text,
    hashes_in,
    read_bodies,
    read_rows,
    rows_text,
)
from gridledger.evidence.readme import README_TEXT
from gridledger.evidence.report import Broken
from gridledger.protocol.block import MAX_ENVELOPES, Block, HeaderSignature
from gridledger.protocol.codes import TxValidationCode, code_of
from gridledger.protocol.config_rules import NAME, SHA256, matching
from gridledger.protocol.fields import exactly, integer_of, list_of, object_of

KIND: Final = "evidence_package"
FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
README: Final = "README.txt"
VERIFIER: Final = "verify.pyz"
ATTACHMENTS: Final = "attachments/"
CHANNELS: Final = "channels/"
CHAIN: Final = "chain.json"
MAX_TRANSACTIONS: Final = 100_000
MAX_BLOCKS: Final = 50_000
MAX_ANCHORS: Final = 10_000
MAX_ABOUT: Final = 64 * 1024
_NUMBER_DIGITS: Final = 12
_MANIFEST_MEMBERS: Final = frozenset(
    ("kind", "format", "about", "anchoring", "devices", "sections", "channels", "evidence", "disclosed", "files")
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A transaction's place: channel, block, index in the block."""

    channel: str
    block: int
    index: int


@dataclass(frozen=True, slots=True)
class Path:
    """The Merkle path of a block in the tree of ``size`` blocks."""

    size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BlockPart:
    """A block, and what a peer tells of it: codes, the commit hash before it, the orderer's signature (None: block 0).

    ``path`` leads to the head of an anchor of the package; None for blocks of the anchoring channel, and for what is
    not anchored yet.
    """

    block: Block
    codes: tuple[TxValidationCode, ...]
    previous_commit_hash: str
    signature: HeaderSignature | None
    path: Path | None = None

    @property
    def number(self) -> int:
        """The block's number."""
        return self.block.header.number


@dataclass(frozen=True, slots=True)
class AnchorPart:
    """A head of a channel's tree, the transactions that attest it as (block, index) on the anchoring channel, and the
    consistency proof from the anchor before it in the package (none for the first)."""

    size: int
    root: str
    attests: tuple[tuple[int, int], ...]
    consistency: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelPart:
    """Blocks of a channel by number, ascending, and its anchors by size, ascending."""

    blocks: Mapping[int, BlockPart]
    anchors: tuple[AnchorPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """Which channel and chaincode has what: ``anchoring`` and ``devices`` are (channel, chaincode), ``sections`` maps
    a section's channel to its chaincode of events."""

    anchoring: tuple[str, str]
    devices: tuple[str, str] | None = None
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of a package. ``about``: any JSON object that says what for (case, title); nothing is proved of it."""

    roles: Roles
    evidence: tuple[Place, ...]
    channels: Mapping[str, ChannelPart]
    bodies: tuple[Body, ...] = ()
    rows: tuple[RowPart, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    verifier: bytes = b""

    def disclosed(self) -> list[Place]:
        """The transactions that come along in the blocks of others."""
        asked = set(self.evidence)
        return [
            place
            for channel in sorted(self.channels)
            for number, part in sorted(self.channels[channel].blocks.items())
            for place in (Place(channel, number, index) for index in range(len(part.block.envelopes)))
            if place not in asked
        ]


def block_file(channel: str, number: int) -> str:
    """The name of a block's file."""
    return f"{CHANNELS}{channel}/{number:0{_NUMBER_DIGITS}d}.block"


def chain_file(channel: str) -> str:
    """The name of the file that tells of a channel's blocks."""
    return f"{CHANNELS}{channel}/{CHAIN}"


def write_package(package: Package) -> bytes:
    """The package's bytes: always the same for the same parts."""
    files = _files(package)
    return canonical_zip.pack({MANIFEST: _manifest_text(package, files), **files})


def _manifest_text(package: Package, files: Mapping[str, bytes]) -> bytes:
    roles = package.roles
    manifest = {
        "kind": KIND,
        "format": FORMAT,
        "about": dict(package.about),
        "anchoring": _role(roles.anchoring),
        "devices": None if roles.devices is None else _role(roles.devices),
        "sections": dict(sorted(roles.sections.items())),
        "channels": sorted(package.channels),
        "evidence": [_place(item) for item in package.evidence],
        "disclosed": [_place(item) for item in package.disclosed()],
        "files": {name: sha256(data).hexdigest() for name, data in files.items()},
    }
    return jsontext.dumps(manifest)


def _files(package: Package) -> dict[str, bytes]:
    files: dict[str, bytes] = {README: README_TEXT.encode(), VERIFIER: package.verifier}
    if package.bodies:
        files[BODIES] = bodies_text(package.bodies)
    if package.rows:
        files[ROWS] = rows_text(package.rows)
    for name, data in sorted(package.attachments.items()):
        files[ATTACHMENTS + name] = data
    for channel, part in sorted(package.channels.items()):
        blocks = [part.blocks[number] for number in sorted(part.blocks)]
        chain = {"blocks": [_told(item) for item in blocks], "anchors": [_anchor(item) for item in part.anchors]}
        files[chain_file(channel)] = jsontext.dumps(chain)
        files |= {block_file(channel, item.number): item.block.to_bytes() for item in blocks}
    return files


def _role(role: tuple[str, str]) -> dict[str, str]:
    return {"channel": role[0], "chaincode": role[1]}


def _place(place: Place) -> list[Any]:
    return [place.channel, place.block, place.index]


def _told(part: BlockPart) -> dict[str, Any]:
    path = part.path
    return {
        "number": part.number,
        "codes": [int(code) for code in part.codes],
        "previous_commit_hash": part.previous_commit_hash,
        "signature": None if part.signature is None else part.signature.to_dict(),
        "path": None if path is None else {"size": path.size, "hashes": [item.hex() for item in path.hashes]},
    }


def _anchor(part: AnchorPart) -> dict[str, Any]:
    return {
        "size": part.size,
        "root": part.root,
        "attests": [list(item) for item in part.attests],
        "consistency": [item.hex() for item in part.consistency],
    }


def read_package(data: bytes) -> Package:
    """The parts of a package; :class:`Broken` names the step (``form``, ``manifest``) and the file where it is none.

    Every byte is accounted for: the archive has one form, each file the SHA-256 of the manifest, and the JSON of
    manifest and chains is the one text of what it says.
    """
    try:
        files = canonical_zip.unpack(data)
    except EvidenceError as error:
        raise Broken("form", error.field, error.message.removeprefix(f"{error.field}: ")) from None
    if next(iter(files), "") != MANIFEST:
        raise Broken("form", MANIFEST, "it must be the first file of the package")
    text = files.pop(MANIFEST)
    manifest = _read(MANIFEST, text, _manifest)
    if list(manifest["files"]) != list(files):
        wrong = sorted(set(files) ^ set(manifest["files"])) or ["their order"]
        raise Broken("manifest", MANIFEST, f"it does not list the files that are here: {', '.join(wrong[:3])}")
    for name, content in files.items():
        if sha256(content).hexdigest() != manifest["files"][name]:
            raise Broken("manifest", name, "its SHA-256 is not that of the manifest")
    package = _package(manifest, files)
    _check_again(package, files, text)
    return package


def _check_again(package: Package, files: Mapping[str, bytes], manifest: bytes) -> None:
    """Written again a package must be these bytes: what no part has, and what could be told in two ways, is refused.

    The README's words may be another version's.
    """
    again = _files(package) | {README: files.get(README, b"")}
    for name in dict.fromkeys((*files, *again)):
        if files.get(name) != again.get(name):
            raise Broken("form", name, "it is not as a package has it")
    if list(files) != list(again):
        raise Broken("form", MANIFEST, "the files stand in another order than a package has them")
    if manifest != _manifest_text(package, files):
        raise Broken("manifest", MANIFEST, "it does not say what is in the package, or says it in other words")


def _package(manifest: dict[str, Any], files: Mapping[str, bytes]) -> Package:
    channels = {}
    for channel in manifest["channels"]:
        name = chain_file(channel)
        told = _read(name, files.get(name), _chain)
        blocks = {item["number"]: _block_part(channel, item, files) for item in told["blocks"]}
        channels[channel] = ChannelPart(blocks, tuple(told["anchors"]))
    bodies = _read(BODIES, files[BODIES], read_bodies) if BODIES in files else ()
    rows = _read(ROWS, files[ROWS], read_rows) if ROWS in files else ()
    attachments = {
        name.removeprefix(ATTACHMENTS): content for name, content in files.items() if name.startswith(ATTACHMENTS)
    }
    return Package(
        roles=manifest["roles"],
        evidence=manifest["evidence"],
        channels=channels,
        bodies=bodies,
        rows=rows,
        attachments=attachments,
        about=manifest["about"],
        verifier=files.get(VERIFIER, b""),
    )


def _read(name: str, data: bytes | None, read: Callable[[Any], Any]) -> Any:
    """What a JSON file says."""
    if data is None:
        raise Broken("manifest", name, "it is missing")
    try:
        return read(jsontext.loads(data))
    except GridLedgerError as error:
        raise Broken("form", name, error.message) from None


def _manifest(value: Any) -> dict[str, Any]:
    message = exactly(value, _MANIFEST_MEMBERS, "a manifest")
    if message["kind"] != KIND or message["format"] != FORMAT:
        raise EvidenceError("format", f"this version verifies packages of the format {FORMAT}")
    sections = object_of(message["sections"], "'sections'")
    devices = message["devices"]
    roles = Roles(
        _read_role(message["anchoring"]),
        None if devices is None else _read_role(devices),
        {_channel(name): _channel(chaincode) for name, chaincode in sections.items()},
    )
    channels = [_channel(name) for name in list_of(message, "channels", max_length=1000)]
    places = list_of(message, "evidence", max_length=MAX_TRANSACTIONS)
    hashes = object_of(message["files"], "'files'")
    for name, digest in hashes.items():
        matching(SHA256, digest, f"the SHA-256 of {name:.200}")
    if len(jsontext.dumps_again(message["about"])) > MAX_ABOUT:
        raise EvidenceError("about", f"has more than {MAX_ABOUT} bytes")
    return {
        "roles": roles,
        "channels": channels,
        "evidence": tuple([_read_place(item) for item in places]),
        "about": object_of(message["about"], "'about'"),
        "files": hashes,
    }


def _chain(value: Any) -> dict[str, Any]:
    message = exactly(value, frozenset(("blocks", "anchors")), "a chain")
    blocks = [
        exactly(item, frozenset(("number", "codes", "previous_commit_hash", "signature", "path")), "a block")
        for item in list_of(message, "blocks", max_length=MAX_BLOCKS)
    ]
    numbers = [integer_of(item, "number", maximum=10**_NUMBER_DIGITS - 1) for item in blocks]
    anchors = [_read_anchor(item) for item in list_of(message, "anchors", max_length=MAX_ANCHORS)]
    sizes = [item.size for item in anchors]
    if any(later <= earlier for told in (numbers, sizes) for earlier, later in pairwise(told)):
        raise EvidenceError("blocks", "blocks and anchors must ascend")
    return {"blocks": blocks, "anchors": anchors}


def _block_part(channel: str, told: dict[str, Any], files: Mapping[str, bytes]) -> BlockPart:
    name = block_file(channel, told["number"])
    data = files.get(name)
    if data is None:
        raise Broken("manifest", name, "it is missing")
    try:
        block = Block.from_bytes(data)
    except GridLedgerError as error:
        raise Broken("form", name, error.message) from None
    try:
        signature = told["signature"]
        return BlockPart(
            block,
            tuple([code_of(item) for item in list_of(told, "codes", max_length=MAX_ENVELOPES)]),
            matching(SHA256, told["previous_commit_hash"], "'previous_commit_hash'"),
            None if signature is None else HeaderSignature.from_dict(signature),
            _read_path(told["path"]),
        )
    except GridLedgerError as error:
        raise Broken("form", chain_file(channel), f"block {told['number']}: {error.message}") from None


def _read_path(value: Any) -> Path | None:
    if value is None:
        return None
    message = exactly(value, frozenset(("size", "hashes")), "a path")
    return Path(integer_of(message, "size", minimum=1), hashes_in(message, "hashes"))


def _read_anchor(value: Any) -> AnchorPart:
    message = exactly(value, frozenset(("size", "root", "attests", "consistency")), "an anchor")
    attests = [_pair(item) for item in list_of(message, "attests", max_length=1000)]
    root = matching(SHA256, message["root"], "'root'")
    return AnchorPart(integer_of(message, "size", minimum=1), root, tuple(attests), hashes_in(message, "consistency"))


def _read_role(value: Any) -> tuple[str, str]:
    message = exactly(value, frozenset(("channel", "chaincode")), "a channel with its chaincode")
    return _channel(message["channel"]), _channel(message["chaincode"])


def _read_place(value: Any) -> Place:
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004 - channel, block, index
        raise EvidenceError("evidence", "a transaction is [channel, block, index]")
    return Place(_channel(value[0]), *_pair(value[1:]))


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(type(item) is int and item >= 0 for item in value):  # noqa: PLR2004
        raise EvidenceError("evidence", "a transaction's place is [block, index]")
    return value[0], value[1]


def _channel(value: Any) -> str:
    return matching(NAME, value, "the name of a channel or chaincode")
