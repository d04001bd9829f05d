"""Commands that read a channel's chain: blocks, transactions, the history of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridledger.cli.options import DEFAULT_DIR, Chaincode, Channel, Json, Profile, User
from gridledger.cli.output import json_text, say, say_fields, say_json, say_table, time_text

if TYPE_CHECKING:
    from pathlib import Path

    from gridledger.client.proofs import TransactionProof
    from gridledger.protocol.proof import ProvedTransaction

_SHOWN_TX_ID = 16


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (block, tx, history):
        app.command(rich_help_panel="Ledger")(command)


def block(
    channel: Channel,
    place: Annotated[str, typer.Argument(metavar="N|HASH", help="The block's number (the first is 0), or its hash.")],
    *,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show a block: its header, and its transactions with their validation codes. Its data hash is verified.

    \b
    Example:
      gridledger block shard1 3
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415
    from gridledger.cli.reading import read_opened_block  # noqa: PLC0415
    from gridledger.client.queries import read_block_by_hash  # noqa: PLC0415

    async def work() -> dict[str, Any]:
        async with gateway_to(directory, user, channel) as gateway:
            node, number = gateway.node, _number(place)
            if number is None:
                number = (await read_block_by_hash(node, channel, place)).header.number
            return await read_opened_block(node, channel, number)

    found = asyncio.run(work())
    if as_json:
        say_json(found)
        return 0
    header = found["header"]
    say_fields(
        {
            "block": f"{header['number']} of {header['channel']}",
            "time": time_text(header["timestamp"]),
            "hash": found["hash"],
            "previous hash": header["previous_hash"],
            "data hash": f"{header['data_hash']} (holds)",
            "commit hash": found["commit_hash"],
        }
    )
    say("")
    say_table(
        ("#", "transaction", "code", "chaincode", "call"),
        [(index, item["tx_id"], item["code_name"], *_call(item)) for index, item in enumerate(found["transactions"])],
    )
    return 0


def tx(
    channel: Channel,
    tx_id: Annotated[str, typer.Argument(metavar="ID", help="The transaction's id, or how it begins.")],
    *,
    proof: Annotated[
        bool,
        typer.Option("--proof", help="Prove it: by the orderer's signature, and by peers of most organisations."),
    ] = False,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show a transaction: its block, validation code, call and result, as one peer tells them.

    With --proof as peers of most organisations tell them, and with an orderer's signature under the block's header.

    \b
    Example:
      gridledger tx shard1 5f0c...e1 --proof
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415
    from gridledger.cli.searching import whole_id  # noqa: PLC0415

    async def told() -> ProvedTransaction | str:
        async with gateway_to(directory, user, channel) as gateway:
            network = gateway.get_network(channel)
            whole = await whole_id(network, tx_id)
            return whole if proof else await network.get_transaction(whole)

    found = asyncio.run(told())
    if isinstance(found, str):
        return _show_proof(directory, user, channel, found, as_json=as_json)
    if as_json:
        say_json({name: value for name, value in found.to_dict().items() if name != "proof"})
        return 0
    say_fields(_described(found))
    return 0


def _show_proof(directory: Path, user: str | None, channel: str, tx_id: str, *, as_json: bool) -> int:
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import only_peers_of  # noqa: PLC0415
    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.client.proofs import ChannelTrust, prove_transaction  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415

    profile = only_peers_of(load_profile(directory), channel)
    trust, identity = ChannelTrust.by_profile(profile, channel), SigningIdentity.load(profile.user_folder(user))
    proof = asyncio.run(prove_transaction(trust, identity, tx_id))
    if not as_json:
        say_fields({**_described(proof.transaction), **_proof(proof)})
        return 0
    members = proof.transaction.to_dict()
    told = {
        "orderer": None if proof.orderer is None else proof.orderer.name,
        "organisations": list(proof.organisations),
        "needed": proof.needed,
        "others": dict(proof.others),
    }
    say_json({**members, "proof": {**members["proof"], **told}})
    return 0


def history(
    channel: Channel,
    chaincode: Chaincode,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many writes at most.")] = 100,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show the committed writes of a key, the newest first.

    \b
    Example:
      gridledger history shard1 hello m1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415

    async def work() -> list[dict[str, Any]]:
        async with gateway_to(directory, user, channel) as gateway:
            entries = await gateway.get_network(channel).get_history(chaincode, key, limit=limit)
            return [entry.to_dict() for entry in entries]

    items = asyncio.run(work())
    if as_json:
        say_json({"items": items})
    else:
        say_table(
            ("block", "#", "time", "value", "transaction"),
            [
                (
                    *(item["block"], item["index"], time_text(item["timestamp"])),
                    *("(deleted)" if item["deleted"] else json_text(item["value"]), item["tx_id"]),
                )
                for item in items
            ],
        )
    return 0


def _number(text: str) -> int | None:
    """A block's number, None for a hash."""
    from gridledger.protocol.block import ZERO_HASH  # noqa: PLC0415

    if len(text) == len(ZERO_HASH) and not text.lower().strip("0123456789abcdef"):
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    raise typer.BadParameter(
        f"a block is named by its number or by its hash of 64 hexadecimal digits, not {text!r:.80}"
    )


def _call(transaction: dict[str, Any]) -> tuple[str, str]:
    """A transaction of an opened block: its chaincode and its call."""
    if transaction.get("unreadable"):
        return "", f"(unreadable, {transaction['bytes']} bytes)"
    proposal = transaction.get("proposal")
    if proposal is None:
        return "", f"(configuration {transaction['config']['sequence']})"
    return proposal["chaincode"], call_text(proposal["function"], proposal["args"])


def call_text(function: str, args: Any) -> str:
    """A call as ``record("m1", 2.5)``."""
    return f"{function}({', '.join(map(json_text, args))})"


def _described(found: ProvedTransaction) -> dict[str, Any]:
    from gridledger.errors import GridLedgerError  # noqa: PLC0415
    from gridledger.protocol.config_update import parse_envelope  # noqa: PLC0415
    from gridledger.protocol.transaction import Transaction  # noqa: PLC0415

    place = {
        "transaction": found.tx_id,
        "block": f"{found.block}, position {found.index}",
        "code": f"{int(found.code)} {found.code.name}",
    }
    try:
        envelope = parse_envelope(found.envelope)
    except GridLedgerError as error:
        return {**place, "envelope": f"{len(found.envelope)} bytes, unreadable: {error.message}"}
    if not isinstance(envelope, Transaction):
        return {**place, "configuration": f"sequence {envelope.config.sequence}"}
    proposal, result = envelope.proposal, envelope.result
    event = result.event
    return {
        **place,
        "time": time_text(proposal.time_us),
        "chaincode": f"{proposal.chaincode}, sequence {proposal.sequence}",
        "call": call_text(proposal.function, proposal.args),
        "creator": _creator(proposal.creator),
        "answer": json_text(result.response.payload),
        **({} if event is None else {"event": f"{event.name} {json_text(event.payload)}"}),
        "reads": len(result.reads) + sum(len(item.reads) for item in result.ranges),
        "writes": ", ".join(key for key, _ in result.writes) or "none",
        "endorsements": len(envelope.endorsements),
    }


def _creator(text: str) -> str:
    """Whose certificate a proposal holds."""
    from gridledger.errors import GridLedgerError  # noqa: PLC0415
    from gridledger.identity.certificate import Certificate  # noqa: PLC0415
    from gridledger.protocol.fields import from_base64  # noqa: PLC0415

    try:
        certificate = Certificate.from_der(from_base64(text, "the creator"))
    except GridLedgerError:
        return "unreadable"
    return f"{certificate.common_name}, certificate {certificate.fingerprint}"


def _proof(proof: TransactionProof) -> dict[str, Any]:
    """What proves a transaction, part by part."""
    found, orderer = proof.transaction, proof.orderer
    path = {f"path {number}": sibling.hex() for number, sibling in enumerate(found.siblings, 1)}
    return {
        "proof": f"holds: the path leads to the data hash of block {found.block}",
        "leaf": f"{found.index + 1} of {found.count}",
        **path,
        "data hash": found.header.data_hash,
        "header": found.header.text,
        "signed by": f"{orderer.name} of {orderer.mspid} (genuine)" if orderer else "nobody: it is the first block",
        "code told by": f"peers of {', '.join(proof.organisations)} ({proof.needed} were needed)",
        **{f"not by {name}": reason for name, reason in sorted(proof.others.items())},
    }
