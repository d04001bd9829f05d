"""The case: opened, approved, asked through the desk; and whether the rules find what was planted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final

from gridledger.client.anchors import AnchorsLedger, application_of
from gridledger.client.application import network_through, peers_of
from gridledger.demonstration.steps import Steps
from gridledger.errors import GridLedgerError
from gridledger.evidence.assembling import disclosed_of
from gridledger.evidence.package import read_package
from services.case.block_rows import Places
from services.case.demonstration.playing import Outage
from services.case.demonstration.stage import Stage, until
from services.case.described import authority_identity, investigator_identity
from services.case.desk_client import Desk, desk_url, opened_desk
from services.case.examining import Read, read_case
from services.case.ledger import CasesLedger, cases_ledger
from services.case.questions import RULES, Question
from services.case.replay.judging import Judged, judge
from services.case.replay.story import Truth
from services.case.rows import Row
from services.case.rules.finding import Finding, by

CASE: Final = "2015-12-23"
_PURPOSE: Final = "Thirty substations were opened on 23 December from 15:30 on: who did it, from where, in which order"
_TITLE: Final = "The foreign logins and the openings of 23 December"
_HOUR_US: Final = 3_600_000_000
_MOST_ROWS: Final = 200_000
_READ_WITHIN_S: Final = 120.0
_ANCHORS_SILENT: Final = "anchors-silent"


@asynccontextmanager
async def asked(stage: Stage) -> AsyncIterator[tuple[Desk, CasesLedger]]:
    """The desk and the contract of cases, as the investigator asks them."""
    investigator = await investigator_identity(stage.profile)
    async with opened_desk(stage.profile, investigator, desk_url(stage.folder.root)) as opened:
        yield opened


async def open_case(stage: Stage, begun_us: int, steps: Steps) -> None:
    """The investigator opens the case, somebody of the authority approves it; before that nothing is answered."""
    authority = await authority_identity(stage.profile)
    scope = {
        "channels": list(Places.of(stage.profile.applications).channels),
        "from_us": begun_us - _HOUR_US,
        "to_us": time.time_ns() // 1000 + _HOUR_US,
    }
    async with asked(stage) as (desk, ledger), cases_ledger(stage.profile, authority) as approving:
        await ledger.open_case(CASE, _PURPOSE, scope)
        try:
            await desk.rows(CASE, RULES, Question(limit=1))
        except GridLedgerError as error:
            steps.expect("before the case is approved nothing is answered", True, error.message)
        else:
            steps.expect("before the case is approved nothing is answered", False, "rows came")
        await approving.approve(CASE)
        steps.expect("the authority approves it", (await ledger.get_case(CASE))["status"] == "approved")


async def refuse_directly(stage: Stage, steps: Steps) -> None:
    """The investigator's certificate opens no section: what is read goes through the desk."""
    investigator = await investigator_identity(stage.profile)
    refused = []
    channels = [each for each in Places.of(stage.profile.applications).channels if each != "general"]
    for channel in channels:
        peers = peers_of(stage.profile, channel, investigator.mspid)
        try:
            async with network_through(stage.profile, channel, peers, investigator) as network:
                await network.get_chain_info()
        except GridLedgerError:
            refused.append(channel)
    steps.expect("no peer answers the investigator on another channel than general", refused == channels)


async def read_rows(stage: Stage, until_us: int, steps: Steps) -> Read:
    """All rows of the case that tell times before ``until_us``: behind it devices have nothing more to say."""
    async with asked(stage) as (desk, ledger):
        read = await read_case(desk, ledger, CASE, RULES, Question(to_us=until_us), most=_MOST_ROWS)
        queries = {each["tx"] async for each in ledger.queries(CASE)}
    steps.expect(
        "each page of rows has a valid Query on the ledger, by the investigator",
        bool(read.queries) and set(read.queries) <= queries,
        f"{len(read.rows)} rows in {len(read.queries)} pages",
    )
    return read


async def queries(stage: Stage) -> list[dict[str, Any]]:
    """All that was asked in the case, by time."""
    async with asked(stage) as (_, ledger):
        return [each async for each in ledger.queries(CASE)]


async def package(stage: Stage, transactions: Sequence[str]) -> bytes:
    """The package of these transactions, and its finding on the ledger."""
    async with asked(stage) as (desk, ledger):
        question = Question(transactions=tuple(sorted(transactions)))
        _, data = await desk.package(CASE, question, disclose=True)
        disclosed = disclosed_of(await asyncio.to_thread(read_package, data))
        await ledger.record_finding(CASE, sha256(data).hexdigest(), _TITLE, disclosed)
    return data


async def until_anchored(stage: Stage, rows: Sequence[Row]) -> None:
    """Wait until the blocks of these rows are anchored: the agents anchor what there is every few seconds."""
    authority = await authority_identity(stage.profile)
    channel, chaincode = application_of(stage.profile)
    wanted = {name: max(row.block for row in each) for name, each in by(rows, lambda row: row.channel)}
    peers = peers_of(stage.profile, channel, authority.mspid)
    async with network_through(stage.profile, channel, peers, authority) as network:
        anchors = AnchorsLedger(network.get_contract(chaincode), network)

        async def are_anchored() -> bool:
            return all([(await anchors.status(name)).size > block for name, block in wanted.items() if name != channel])

        await until(are_anchored, "the blocks of the evidence are anchored", _READ_WITHIN_S)


def expect_found(truth: Truth, findings: Sequence[Finding], outages: Sequence[Outage], steps: Steps) -> Judged:
    """Everything that was planted is found, and nobody else is accused."""
    silent = [each for each in findings if each.rule == _ANCHORS_SILENT]
    away = next(each for each in outages if each.what == "general")
    during = [each for each in silent if each.to_us > away.from_us and each.from_us < away.to_us]
    steps.expect(
        "the anchors' silence while General was out of reach is found, and no other",
        bool(during) and len(during) == len(silent),
        "; ".join(each.text for each in silent),
    )
    judged = judge(truth, [each for each in findings if each.rule != _ANCHORS_SILENT])
    steps.expect(
        f"all {len(truth.planted)} planted things are found",
        not judged.missing,
        "; ".join(f"not {each.what}: {each.rule} {dict(each.subject)}" for each in judged.missing),
    )
    first = [each for each, _ in judged.found if each.rule == "new-terminal"][:1]
    steps.expect(
        "the first foreign login is found",
        bool(first) and first[0].what == "the first foreign login",
        f"session {first[0].subject['session']} at {first[0].subject['terminal']}" if first else "",
    )
    steps.expect(
        f"the {len(truth.openings)} openings are found in their order",
        judged.openings_in_order,
        f"{truth.openings[0]} first",
    )
    steps.expect("nobody else is accused", not judged.accused, "; ".join(each.text for each in judged.accused))
    return judged


def told(judged: Judged) -> list[dict[str, Any]]:
    """For summary.json: what was planted, and what was found of it."""
    return [
        {"what": planted.what, "rule": planted.rule, "subject": dict(planted.subject), "found": [f.text for f in found]}
        for planted, found in judged.found
    ]
