"""Commands that make an update of a channel's configuration by hand: fetch, compute, show, sign, submit.

The update is a file, which travels from organisation to organisation until enough have signed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridledger.cli.options import DEFAULT_DIR, Channel, Json, Profile, User
from gridledger.cli.output import note, say, say_fields, say_json, time_text
from gridledger.errors import InputError

if TYPE_CHECKING:
    from gridledger.network.config_changes import Changed
    from gridledger.protocol.config import ChannelConfig
    from gridledger.protocol.config_update import ConfigUpdate

UpdateFile = Annotated[Path, typer.Argument(metavar="FILE", help="The update's file.")]
Original = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="ORIGINAL",
        help="The configuration that the update is of, as it was fetched.",
        show_default="the present one, from a peer",
    ),
]


def add_to(group: typer.Typer) -> None:
    """Add these commands to those about channels."""
    group.command()(fetch)
    update = typer.Typer(
        name="update", no_args_is_help=True, help="Make an update of a channel's configuration, sign it, submit it."
    )
    for command in (compute, show, sign, submit):
        update.command()(command)
    group.add_typer(update)


def fetch(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="config, genesis, or a block's number.")],
    channel: Channel,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to.", show_default="standard output")
    ] = None,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
) -> int:
    """Fetch a channel's present configuration, its genesis block or another block, as JSON with certificates as PEM.

    \b
    Examples:
      gridledger channel fetch config shard1 --output shard1.json
      gridledger channel fetch genesis shard1
    """
    import asyncio  # noqa: PLC0415

    from gridledger.cli.connection import gateway_to  # noqa: PLC0415
    from gridledger.cli.reading import read_opened_block  # noqa: PLC0415
    from gridledger.network.update_files import readable, text_of_json  # noqa: PLC0415

    number = 0 if what == "genesis" else int(what) if what.isascii() and what.isdigit() and len(what) < 19 else None  # noqa: PLR2004
    if what != "config" and number is None:
        raise InputError(f"{what!r:.80} is none of config, genesis and a block's number")

    async def work() -> Any:
        async with gateway_to(directory, user, channel) as gateway:
            if number is None:
                return (await gateway.get_network(channel).get_config()).plain
            return await read_opened_block(gateway.node, channel, number)

    text = text_of_json(readable(asyncio.run(work())))
    if output is None:
        say(text.rstrip("\n"))
    else:
        output.write_text(text, encoding="utf-8")
        say(str(output))
    return 0


def compute(
    channel: Channel,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="MODIFIED", help="The configuration as it is to be (JSON).")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The update's file.")],
    original: Original = None,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Compute the update that makes a configuration which was fetched and edited. Nobody has signed it.

    The next sequence, and what follows from the rest (who was removed, which orderer departs), are filled in.

    \b
    Examples:
      gridledger channel update compute shard1 --to edited.json --output update.json
      gridledger channel update compute shard1 --from shard1.json --to edited.json --output update.json
    """
    from gridledger.network.update_files import compute_update, write_update  # noqa: PLC0415

    current = _current(channel, original, user, directory)
    update = compute_update(current, to, time.time_ns() // 1000)
    write_update(output, update)
    _tell(output, current, update, as_json=as_json)
    return 0


def show(
    file: UpdateFile,
    *,
    original: Original = None,
    user: User = None,
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Show what an update changes, in words, who has signed it, and who must still sign.

    \b
    Example:
      gridledger channel update show update.json
    """
    from gridledger.network.update_files import read_update  # noqa: PLC0415

    update = read_update(file)
    _tell(file, _current(update.channel, original, user, directory), update, as_json=as_json)
    return 0


def sign(
    file: UpdateFile,
    *,
    user: Annotated[str, typer.Option("--user", metavar="ORG/NAME", help="Who signs, such as Org1/admin.")],
    directory: Profile = DEFAULT_DIR,
    as_json: Json = False,
) -> int:
    """Add a signature to an update's file. No network is needed; look at the update first (show).

    \b
    Example:
      gridledger channel update sign update.json --user Org1/admin
    """
    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.identity.signer import SigningIdentity  # noqa: PLC0415
    from gridledger.network.update_files import add_signature, read_update, write_update  # noqa: PLC0415

    update = read_update(file)
    signed = add_signature(update, SigningIdentity.load(load_profile(directory).user_folder(user)))
    write_update(file, signed)
    if as_json:
        say_json({"file": str(file), "channel": signed.channel, "signed": user, "signatures": len(signed.signatures)})
    else:
        say(f"{user} has signed; {file} has {len(signed.signatures)} signatures")
    return 0


def submit(file: UpdateFile, *, user: User = None, directory: Profile = DEFAULT_DIR, as_json: Json = False) -> int:
    """Submit an update that enough have signed, and wait until the channel's peers have it.

    \b
    Example:
      gridledger channel update submit update.json
    """
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.config_changes import submit_update  # noqa: PLC0415
    from gridledger.network.update_files import read_update  # noqa: PLC0415

    update = read_update(file)
    changed = asyncio.run(submit_update(load_profile(directory), update, user=user))
    if as_json:
        say_json(outcome(changed))
    else:
        say(f"{changed.config.channel} has configuration {changed.config.sequence}")
        tell_behind(changed)
    return 0


def outcome(changed: Changed) -> dict[str, Any]:
    """What became of a change, as JSON."""
    return {
        "channel": changed.config.channel,
        "sequence": changed.config.sequence,
        "changed": changed.changed,
        "signers": list(changed.signers),
        "behind": list(changed.behind),
    }


def tell_behind(changed: Changed) -> None:
    """Note the nodes that were not seen to have the configuration."""
    if changed.behind:
        note(f"not seen to have it yet: {', '.join(changed.behind)}")


def tell_update(file: Path, current: ChannelConfig, update: ConfigUpdate, *, as_json: bool) -> None:
    """What an update in a file changes, who has signed it, and who must still sign."""
    from gridledger.protocol.config_authority import verdicts  # noqa: PLC0415
    from gridledger.protocol.config_update import explain_update  # noqa: PLC0415

    now_us = time.time_ns() // 1000
    signers = update.signers(current, now_us)
    judged = list(verdicts(current.plain, update.plain, current.channel_policies, signers))
    complete = all(verdict.met for verdict in judged)
    window_s = current.limits.config_window_s
    until_us = update.time_us + window_s * 1_000_000 if window_s and update.time_us is not None else None
    if as_json:
        say_json(
            {
                "file": str(file),
                "channel": update.channel,
                "sequence": update.sequence,
                "expires": until_us,
                "signers": [{"mspid": mspid, "role": role} for mspid, role in signers],
                "complete": complete,
                "changes": [
                    {
                        "path": item.change.name,
                        "words": item.change.words,
                        "policy": item.policy,
                        "met": item.met,
                        "signed": list(item.signed),
                        "missing": list(item.missing),
                    }
                    for item in judged
                ],
            }
        )
        return
    say_fields(
        {
            "update": f"{file}, for configuration {update.sequence} of {update.channel}",
            "expires": "never" if until_us is None else time_text(until_us),
            "signed by": ", ".join(f"{role} of {mspid}" for mspid, role in signers) or "nobody",
            "signatures": "enough" if complete else "not enough yet",
        }
    )
    say("")
    for line in explain_update(current, update, now_us):
        say(line)


def _tell(file: Path, current: ChannelConfig, update: ConfigUpdate, *, as_json: bool) -> None:
    if update.channel != current.channel or update.sequence != current.sequence + 1:
        raise InputError(
            f"{file} is for configuration {update.sequence} of {update.channel}, and {current.channel} is at "
            f"{current.sequence}: make the update anew from the present configuration, or name the one that it was "
            "made of with --from"
        )
    tell_update(file, current, update, as_json=as_json)


def _current(channel: str, original: Path | None, user: str | None, directory: Path) -> ChannelConfig:
    """The configuration that an update is of: from a file, or the present one."""
    import asyncio  # noqa: PLC0415

    from gridledger.client.profile import load_profile  # noqa: PLC0415
    from gridledger.network.config_changes import present_config  # noqa: PLC0415
    from gridledger.network.update_files import read_config_file  # noqa: PLC0415

    if original is not None:
        return read_config_file(original)
    return asyncio.run(present_config(load_profile(directory), channel, user=user))
