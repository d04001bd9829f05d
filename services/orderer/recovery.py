"""``python -m services.orderer.recovery --config FILE [--force]``: makes an orderer the only one that takes part.

Where a majority of the orderers has lost its log for good, no log can be completed by voting any more. The survivor's
log is then what there is: behind its last entry a membership is written of which it is the only member.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gridledger import jsontext
from gridledger.channel_record import ChannelRecord
from gridledger.command_line import EXIT_FAILED, tell_error
from gridledger.errors import GridLedgerError, InputError
from gridledger.incarnation import Incarnation, no_log
from gridledger.settings import load_settings
from services.orderer.block_store import BlockStore
from services.orderer.chain import read_entry
from services.orderer.raft.interface import Membership
from services.orderer.raft.messages import Entry, EntryKind, HardState, pack_membership
from services.orderer.raft.wal import Wal
from services.orderer.raft.wal_records import GroupRecord, GroupWrite
from services.orderer.settings import OrdererSettings


def recover(settings: OrdererSettings, *, force: bool) -> list[str]:
    """A line on each channel: what is kept, what may be lost. With ``force`` the log is changed."""
    incarnation = Incarnation.read(settings.data, settings.name)
    record = ChannelRecord(settings.data)
    channels = record.channels(settings.channels)
    wal = Wal(settings.data / "raft", settings.raft.segment_bytes)
    try:
        for channel in channels:
            if channel not in wal.groups:
                raise no_log(settings.name, settings.data, channel)
        lines = [_kept(settings, channel, wal.groups[channel]) for channel in channels]
        if force:
            names = {channel: record.raft_id(channel, incarnation) for channel in channels}
            wal.write([_alone(channel, wal.groups[channel], names[channel]) for channel in channels])
    finally:
        wal.close()
    return lines


def _alone(channel: str, record: GroupRecord, raft_id: str) -> GroupWrite:
    membership = Membership(frozenset((raft_id,)))
    last_term = record.entries[-1].term if record.entries else record.snapshot.term if record.snapshot else 0
    term = max(record.hard_state.term, last_term) + 1
    entry = Entry(record.last_index + 1, term, EntryKind.MEMBERSHIP, pack_membership(membership))
    return GroupWrite(channel, entries=(entry,), hard_state=HardState(term, None, record.hard_state.commit))


def _kept(settings: OrdererSettings, channel: str, record: GroupRecord) -> str:
    store = BlockStore.open(settings.data / "blocks" / channel)
    try:
        stored, applied = store.height, store.applied
        newest = store.last_header.hash if store.last_header else ""
    finally:
        store.close()
    in_log = sum(_makes_a_block(entry) for entry in record.entries if entry.index > applied)
    return (
        f"{channel}: the last block kept is {stored - 1 + in_log} ({in_log} in the log, those up to {stored - 1}, hash "
        f"{newest[:16]}, in the block store). Transactions that were acknowledged and are in none of these blocks are "
        f"lost; a peer that is higher than {stored + in_log} blocks must fetch its ledger anew"
    )


def _makes_a_block(entry: Entry) -> bool:
    if entry.kind is not EntryKind.DATA:
        return False
    try:
        read_entry(entry.data)
    except InputError:
        return False
    return True


def main(argv: Sequence[str]) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.orderer.recovery", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="the orderer's settings file")
    parser.add_argument("--force", action="store_true", help="change the log")
    parser.add_argument("--json", action="store_true", help="write one JSON document")
    options = parser.parse_args(argv)
    try:
        settings = load_settings(OrdererSettings, options.config)
        lines = recover(settings, force=options.force)
    except GridLedgerError as error:
        return tell_error(error)
    if options.json:
        told = {"node": settings.name, "changed": options.force, "channels": lines}
        sys.stdout.write(f"{jsontext.dumps(told).decode()}\n")
        return 0 if options.force else EXIT_FAILED
    for line in lines:
        sys.stdout.write(f"{line}\n")
    if not options.force:
        sys.stderr.write("error: nothing was changed: give --force to go on with this orderer alone\n")
        return EXIT_FAILED
    sys.stdout.write(
        f"{settings.name} takes part alone from its next start. Empty no other orderer's folder, and start none: let "
        "each in again by gridledger orderer readmit\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
