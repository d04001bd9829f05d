"""``gridledger vault emergency``: a read without the ledger, by the hands of t holders' operators."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.cli.output import note, say, say_fields, say_json, time_text
from gridledger.client import SigningIdentity, load_profile
from gridledger.command_line import one_line
from gridledger.errors import InputError
from gridledger.files import sync_folder, write_atomically
from services.vault.commands.json_input import read_bytes
from services.vault.commands.network_options import add_json, add_network, identity_of, opened
from services.vault.commands.options import new_parser
from services.vault.emergency import (
    MAX_APPROVAL_BYTES,
    MAX_REQUEST_BYTES,
    EmergencyRequest,
    approve,
    make_request,
    open_approvals,
    purpose_on_ledger,
    read_manifest_file,
    read_request,
)
from services.vault.errors import EmergencyRefused
from services.vault.ledger import application_of
from services.vault.records import HolderRecord
from services.vault.transport import X25519, PrivateKey

_PRIVATE: Final = 0o600
_RECORDS: Final = "emergencies.jsonl"


def main(argv: list[str]) -> int:
    """Take a step of an emergency read; the exit code."""
    steps: dict[str, Callable[[list[str]], int]] = {
        "keep": _keep,
        "request": _request,
        "show": _show,
        "approve": _approve,
        "open": _open,
        "record": _record,
    }
    parser = new_parser(
        "emergency",
        "Read an object while the ledger is away. keep: save a manifest with its holders' keys while a peer answers. "
        "request: the reader signs what it wants, and why. show, approve: an operator looks at it, and adds its "
        "holder's share on the holder's machine. open: the reader joins t approvals. record: the read is told to the "
        "ledger later.",
        (
            "emergency keep oil-2026.11 -o oil.manifest",
            "emergency request --manifest oil.manifest --reason 'breaker 3 burns' --user Base/admin -o wanted",
            "emergency approve wanted.request --holder m2-head --data m2/data --identity m2/id -o m2-head.approval",
            "emergency open wanted.request *.approval --key wanted.key -o oil.csv",
            "emergency record wanted.request --user Base/admin",
        ),
    )
    parser.add_argument("step", choices=tuple(steps), help="which step; 'emergency STEP --help' tells its options")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    return steps[options.step](options.rest)


def _keep(argv: list[str]) -> int:
    parser = new_parser("emergency keep", "Save what an emergency read needs of the ledger.", ())
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="where it is kept")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    kept = asyncio.run(_kept(options))
    _write(options.out, jsontext.dumps(kept), 0o644)
    told = {"object": kept["object"], "version": kept["version"], "file": str(options.out)}
    _say(options, told, f"{options.out}: version {kept['version']} of {kept['object']}, {len(kept['shares'])} holders")
    return 0


async def _kept(options: argparse.Namespace) -> dict[str, Any]:
    async with opened(options) as session:
        told = await session.ledger.get_object(options.object)
        if told["stored"] and told["stored"] != told["version"]:
            told = await session.ledger.get_object(options.object, told["stored"])
        names = [share["holder"] for share in told["shares"]]
        answers = await asyncio.gather(*(session.ledger.get_holder(name) for name in names))
    keys = {name: HolderRecord.of(answer).public_keys[0] for name, answer in zip(names, answers, strict=True)}
    return {**told, "public_keys": keys}


def _request(argv: list[str]) -> int:
    parser = new_parser("emergency request", "Sign what is wanted, and make the key that shares are sealed to.", ())
    parser.add_argument("--manifest", required=True, type=Path, metavar="FILE", help="what 'emergency keep' saved")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; each operator reads it")
    parser.add_argument(
        "-o", "--out", required=True, metavar="NAME", help="makes NAME.request, for operators, and NAME.key"
    )
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    profile = load_profile(options.directory)
    identity = asyncio.run(identity_of(options, profile))
    channel, _ = application_of(profile)
    kept = read_manifest_file(read_bytes(options.manifest, MAX_REQUEST_BYTES))
    keys = kept.pop("public_keys", None)
    if not isinstance(keys, dict):
        raise EmergencyRefused(f"{options.manifest} has no keys of holders: save it by gridledger vault emergency keep")
    key = PrivateKey.generate()
    data = make_request(identity, channel, kept, keys, kem_key=key.public, reason=options.reason, now_us=_now_us())
    _write(Path(f"{options.out}.key"), key.secret.hex().encode() + b"\n", _PRIVATE)
    _write(Path(f"{options.out}.request"), data, 0o644)
    request = read_request(data)
    told = {**request.told(), "request": f"{options.out}.request", "key": f"{options.out}.key"}
    _say(
        options,
        told,
        f"{options.out}.request: give it to the operators of {told['needed']} of {', '.join(told['holders'])}; tell "
        f"them its digest by another way: {request.digest}",
    )
    return 0


def _show(argv: list[str]) -> int:
    parser = new_parser("emergency show", "Show a request; its signature is checked.", ())
    parser.add_argument("request", type=Path, metavar="REQUEST", help="the request's file")
    add_json(parser)
    options = parser.parse_args(argv)
    request = read_request(read_bytes(options.request, MAX_REQUEST_BYTES))
    if options.as_json:
        say_json(request.told())
    else:
        say_fields(_fields(request))
    return 0


def _approve(argv: list[str]) -> int:
    parser = new_parser(
        "emergency approve",
        "Agree to a request, on the holder's machine: the holder's share is sealed to the reader and signed with the "
        "holder's identity. It asks, unless --yes HOLDER is given.",
        (),
    )
    parser.add_argument("request", type=Path, metavar="REQUEST", help="the request's file")
    parser.add_argument("--holder", required=True, metavar="NAME", help="whose share")
    parser.add_argument("--data", required=True, type=Path, metavar="FOLDER", help="the data folder of its process")
    parser.add_argument("--identity", required=True, type=Path, metavar="FOLDER", help="the holder's identity")
    parser.add_argument("--digest", metavar="SHA256", help="of the request, as the reader told it by another way")
    parser.add_argument("--yes", metavar="NAME", help="the holder's name once more: agree without being asked")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="the approval's file")
    add_json(parser)
    options = parser.parse_args(argv)
    request = read_request(read_bytes(options.request, MAX_REQUEST_BYTES))
    if options.digest is not None and options.digest != request.digest:
        raise EmergencyRefused(f"this request's digest is {request.digest}: it is not the one that you were told of")
    _agree(request, options.holder, options.yes)
    home = options.data / options.holder
    file = home / "shares" / f"{request.manifest.object}.{request.manifest.version}"
    share = read_bytes(file, MAX_APPROVAL_BYTES)
    now_us = _now_us()
    approval = approve(request, options.holder, share, SigningIdentity.load(options.identity), now_us=now_us)
    _keep_record(home / _RECORDS, {**request.told(), "holder": options.holder, "approved_us": now_us})
    _write(options.out, approval, _PRIVATE)
    told = {"holder": options.holder, "request_sha256": request.digest, "file": str(options.out)}
    _say(options, told, f"{options.out}: {options.holder}'s approval; give it to the reader")
    return 0


def _agree(request: EmergencyRequest, holder: str, yes: str | None) -> None:
    if yes is not None:
        if yes != holder:
            raise InputError(f"--yes names {yes}, and --holder {holder}")
        return
    for name, value in _fields(request).items():
        note(f"{name}: {value}")
    note(f"Nothing but your judgement stands in for the ledger. To agree, type the holder's name, {holder}:")
    if sys.stdin.readline().strip() != holder:
        raise EmergencyRefused("not approved")


def _keep_record(file: Path, told: dict[str, Any]) -> None:
    try:
        with file.open("ab") as records:
            records.write(jsontext.dumps(told) + b"\n")
            records.flush()
            os.fsync(records.fileno())
        sync_folder(file.parent)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}; an approval that nobody keeps is not made") from None


def _open(argv: list[str]) -> int:
    parser = new_parser("emergency open", "Join the approvals of t holders to the data.", ())
    parser.add_argument("request", type=Path, metavar="REQUEST", help="the request's file")
    parser.add_argument("approvals", nargs="+", type=Path, metavar="APPROVAL", help="the approvals' files")
    parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="the key made with the request")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE", help="where the data go")
    add_json(parser)
    options = parser.parse_args(argv)
    request = read_request(read_bytes(options.request, MAX_REQUEST_BYTES))
    key = _read_key(options.key)
    approvals = [read_bytes(file, MAX_APPROVAL_BYTES) for file in options.approvals]
    data, others = open_approvals(request, approvals, key)
    _write(options.out, data, _PRIVATE)
    for name, reason in others.items():
        note(f"warning: {name} was left out: {reason}")
    told = {"object": request.manifest.object, "bytes": len(data), "file": str(options.out), "others": others}
    _say(options, told, f"{options.out}: {len(data)} bytes. Record the read later: gridledger vault emergency record")
    return 0


def _record(argv: list[str]) -> int:
    parser = new_parser(
        "emergency record", "Tell the ledger of an emergency read, as the reader who made the request.", ()
    )
    parser.add_argument("request", type=Path, metavar="REQUEST", help="the request's file")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    request = read_request(read_bytes(options.request, MAX_REQUEST_BYTES))
    granted = asyncio.run(_recorded(options, request))
    told = {"object": granted["object"], "read": granted["read"], "request_sha256": request.digest}
    _say(options, told, f"the ledger has the emergency read of {granted['object']} as {granted['read']}")
    return 0


async def _recorded(options: argparse.Namespace, request: EmergencyRequest) -> dict[str, Any]:
    async with opened(options) as session:
        if session.identity.fingerprint != request.signer.fingerprint:
            raise EmergencyRefused("the request was made under another identity: record it as that one")
        return await session.ledger.request_read(request.manifest.object, purpose_on_ledger(request))


def _read_key(file: Path) -> PrivateKey:
    text = read_bytes(file, 4096)
    try:
        return PrivateKey(X25519, bytes.fromhex(text.decode("ascii").strip()))
    except ValueError:
        raise InputError(f"{file} is no key that 'emergency request' made") from None


def _fields(request: EmergencyRequest) -> dict[str, Any]:
    told = request.told()
    return {
        "object": f"{told['object']}, version {told['version']}",
        "reader": one_line(f"{told['by']}, certificate {told['certificate']}"),
        "reason": one_line(told["reason"]),
        "made": time_text(told["made_us"]),
        "until": time_text(told["until_us"]),
        "needed": f"{told['needed']} of {', '.join(told['holders'])}",
        "digest": told["request_sha256"],
    }


def _write(file: Path, data: bytes, mode: int) -> None:
    try:
        write_atomically(file, data, mode=mode)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None


def _say(options: argparse.Namespace, told: dict[str, Any], text: str) -> None:
    if options.as_json:
        say_json(told)
    else:
        say(text)


def _now_us() -> int:
    return time.time_ns() // 1000
