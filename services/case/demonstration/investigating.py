"""The rows of the week, what the rules find in them, and whether that is what was planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridledger.client.application import network_through, peers_of
from gridledger.client.profile import ConnectionProfile
from gridledger.demonstration.steps import Steps
from gridledger.identity.signer import SigningIdentity
from services.case.demonstration.playing import Outage
from services.case.replay.judging import Judged, judge
from services.case.replay.story import Story
from services.case.rows import Places, Row, rows_of
from services.case.rules.finding import Finding

_ANCHORS_SILENT: Final = "anchors-silent"


async def read_rows(profile: ConnectionProfile, reader: SigningIdentity) -> list[Row]:
    """The rows of all channels of forensics, as the reader's peer has them."""
    places = Places.of(profile.applications)
    rows: list[Row] = []
    for channel in places.channels:
        async with network_through(profile, channel, peers_of(profile, channel, reader.mspid), reader) as network:
            height = (await network.get_chain_info()).height
            async for full in network.full_block_events(start_block=0):
                rows += rows_of(full.block, full.event.codes, places)
                if full.event.number >= height - 1:
                    break
    return rows


def expect_found(story: Story, findings: Sequence[Finding], outages: Sequence[Outage], steps: Steps) -> Judged:
    """Everything that was planted is found, and nobody else is accused."""
    silent = [each for each in findings if each.rule == _ANCHORS_SILENT]
    away = next(each for each in outages if each.what == "general")
    during = [each for each in silent if each.to_us > away.from_us and each.from_us < away.to_us]
    steps.expect(
        "the anchors' silence while General was out of reach is found, and no other",
        bool(during) and len(during) == len(silent),
        "; ".join(each.text for each in silent),
    )
    judged = judge(story.truth, [each for each in findings if each.rule != _ANCHORS_SILENT])
    steps.expect(
        f"all {len(story.truth.planted)} planted things are found",
        not judged.missing,
        "; ".join(f"not {each.what}: {each.rule} {dict(each.subject)}" for each in judged.missing),
    )
    first = [each for each, _ in judged.found if each.rule == "new-terminal"][:1]
    steps.expect(
        "the first foreign login is found",
        bool(first) and first[0] == story.truth.planted[0],
        f"session {first[0].subject['session']} at {first[0].subject['terminal']}" if first else "",
    )
    steps.expect(
        f"the {len(story.truth.openings)} openings are found in their order",
        judged.openings_in_order,
        f"{story.truth.openings[0]} first",
    )
    steps.expect("nobody else is accused", not judged.accused, "; ".join(each.text for each in judged.accused))
    return judged
