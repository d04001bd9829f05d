"""The page of one channel: how it runs now, what is agreed on it, who belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.errors import GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.identity.policy import Policy
from gridledger.protocol.acls import DEFAULT_ACLS
from gridledger.protocol.config import ChannelConfig, Node, Organisation
from gridledger.protocol.config_policies import CHANNEL
from services.console.answers import page_or_exports
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row
from services.console.live.followers import SeenBlock
from services.console.policy_words import policy_in_words

SPAN_S: Final = 5
SPANS: Final = 24
SOON_US: Final = 30 * 86_400_000_000
"""A certificate that ends within this time is marked."""

_FLOW: Final = (
    Column("since", "since"),
    Column("rate", "transactions/s", numeric=True),
    Column("blocks", "blocks", numeric=True),
    Column("mean", "mean block", numeric=True),
    Column("largest", "largest block", numeric=True),
    Column("invalid", "invalid", numeric=True),
)
_CHAINCODES: Final = (
    Column("chaincode", "chaincode"),
    Column("sequence", "sequence", numeric=True),
    Column("version", "version"),
    Column("who", "who must endorse"),
    Column("policy", "endorsement policy", minor=True),
    Column("package", "package", minor=True),
)
_ORGANISATIONS: Final = (
    Column("organisation", "organisation"),
    Column("kind", "kind"),
    Column("peers", "peers"),
    Column("anchors", "anchors", minor=True),
    Column("root_ends", "CA certificate ends"),
    Column("revoked", "revoked", numeric=True),
    Column("lists", "revocation lists", minor=True),
)
_NODES: Final = (
    Column("node", "node"),
    Column("role", "role"),
    Column("organisation", "organisation"),
    Column("url", "address", minor=True),
    Column("ends", "certificate ends"),
    Column("certificate", "certificate", minor=True),
)
_POLICIES: Final = (Column("policy", "policy"), Column("words", "asks for"), Column("text", "text", minor=True))
_ACLS: Final = (
    Column("words", "who"),
    Column("resources", "may ask for"),
    Column("policy", "by the policy", minor=True),
)
_LIMITS: Final = (Column("limit", "limit"), Column("value", "value", numeric=True))


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/channels/{name}")
    async def channel(name: str, request: Request) -> Response:
        viewer, now_us = console.viewers.of(name), console.clock_us()
        config, flow = viewer.configs[name], console.followers.flows.get(name)
        height = None if flow is None else flow.height
        if height is None:
            height = (await viewer.network(name).get_chain_info()).height
        found = spans(() if flow is None else tuple(flow.blocks), now_us)
        listings = [
            _listing(name, "flow", _FLOW, [_flow_row(span) for span in reversed(found)]),
            _listing(name, "chaincodes", _CHAINCODES, _chaincode_rows(config)),
            _listing(name, "organisations", _ORGANISATIONS, organisation_rows(config, now_us)),
            _listing(name, "nodes", _NODES, node_rows(config, now_us)),
            _listing(name, "policies", _POLICIES, _policy_rows(config)),
            _listing(name, "acls", _ACLS, _acl_rows(config)),
            _listing(name, "limits", _LIMITS, _limit_rows(config)),
        ]
        return page_or_exports(
            console,
            request,
            "channel.html",
            listings,
            title=f"Channel {name}",
            here="Channels",
            channel=name,
            facts=_facts(config, found, height),
            spans=found,
            peak=max((span.rate for span in found), default=0.0),
            span_s=SPAN_S,
            fault=(flow.fault if flow is not None else None) or viewer.faults.get(name),
            seen=viewer.label,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """What was committed in a few seconds; ``since_us`` is when they began (microseconds since 1970)."""

    since_us: int
    blocks: int
    transactions: int
    invalid: int
    largest: int

    @property
    def rate(self) -> float:
        """Transactions a second."""
        return self.transactions / SPAN_S

    @property
    def mean(self) -> float:
        """Transactions of a block."""
        return self.transactions / self.blocks if self.blocks else 0.0


def spans(blocks: Sequence[SeenBlock], now_us: int, count: int = SPANS) -> list[Span]:
    """The last whole spans of ``SPAN_S`` seconds, the oldest first, by when blocks were ordered."""
    width = SPAN_S * 1_000_000
    end = now_us // width * width
    sorted_in: list[list[SeenBlock]] = [[] for _ in range(count)]
    for block in blocks:
        place = count - 1 - (end - 1 - block.at_us) // width
        if 0 <= place < count:
            sorted_in[place].append(block)
    return [
        Span(
            since_us=end - (count - place) * width,
            blocks=len(inside),
            transactions=sum(block.transactions for block in inside),
            invalid=sum(block.invalid for block in inside),
            largest=max((block.transactions for block in inside), default=0),
        )
        for place, inside in enumerate(sorted_in)
    ]


def _listing(channel: str, name: str, columns: Sequence[Column], rows: Sequence[Row]) -> Listing:
    return Listing(name, columns, rows, path=f"/channels/{channel}", query={"list": name})


def _facts(config: ChannelConfig, found: Sequence[Span], height: int) -> list[tuple[str, Cell]]:
    lately = found[-2:]
    blocks, transactions = sum(one.blocks for one in lately), sum(one.transactions for one in lately)
    rate = transactions / (SPAN_S * len(lately)) if lately else 0.0
    return [
        ("height", Cell(f"{height:,}")),
        ("transactions/s, last 10 s", Cell(f"{rate:.1f}")),
        ("transactions in a block, last 10 s", Cell(f"{transactions / blocks:.1f}" if blocks else "no block")),
        ("configuration", Cell(f"sequence {config.sequence}", href=f"/channels/{config.channel}/configurations")),
        ("capabilities", Cell(", ".join(config.capabilities))),
        ("ordering", Cell(f"{config.consensus}, {len(config.orderers)} orderers")),
    ]


def _flow_row(span: Span) -> Row:
    cells = {
        "since": Cell("", at_us=span.since_us, value=span.since_us),
        "rate": Cell(f"{span.rate:.1f}", value=span.rate),
        "blocks": Cell(f"{span.blocks:,}", value=span.blocks),
        "mean": Cell(f"{span.mean:.1f}", value=round(span.mean, 2)),
        "largest": Cell(f"{span.largest:,}", value=span.largest),
        "invalid": Cell(f"{span.invalid:,}", value=span.invalid, state="warn" if span.invalid else ""),
    }
    return Row(cells)


def _chaincode_rows(config: ChannelConfig) -> list[Row]:
    return [
        Row(
            {
                "chaincode": Cell(name, href=f"/channels/{config.channel}/chaincodes/{name}"),
                "sequence": Cell(str(item.sequence), value=item.sequence),
                "version": Cell(item.version),
                "who": Cell(policy_in_words(config.endorsement_policy(name))),
                "policy": Cell(item.policy),
                "package": Cell(item.package[:12], whole=item.package),
            }
        )
        for name, item in sorted(config.chaincodes.items())
    ]


def organisation_rows(config: ChannelConfig, now_us: int) -> list[Row]:
    """The organisations, those whose CA's certificate ends first before the others."""
    rows = []
    for mspid, item in config.organisations.items():
        ends = min((_ends_us(pem) for pem in item.roots), default=0)
        peers = sorted(name for name, node in config.peers.items() if node.mspid == mspid)
        orderers = sorted(name for name, node in config.orderers.items() if node.mspid == mspid)
        cells = {
            "organisation": Cell(mspid),
            "kind": Cell(item.kind),
            "peers": Cell(", ".join((*peers, *orderers)) or "none"),
            "anchors": Cell(", ".join(item.anchors)),
            "root_ends": _end_cell(ends, now_us),
            "revoked": Cell(str(len(config.msps.msps[mspid].revoked)), value=len(config.msps.msps[mspid].revoked)),
            "lists": Cell(revocation_lists(item)),
        }
        rows.append((ends - now_us > SOON_US, mspid, Row(cells, "" if ends - now_us > SOON_US else "warn")))
    return [row for _, _, row in sorted(rows, key=lambda one: one[:2])]


def revocation_lists(organisation: Organisation) -> str:
    """How many lists an organisation has brought, and of which day the newest is."""
    dates = []
    for pem in organisation.crls:
        try:
            dates.append(x509.load_pem_x509_crl(pem.encode()).last_update_utc)
        except ValueError:
            continue
    if not organisation.crls:
        return "none"
    return f"{len(organisation.crls)}, the newest of {max(dates):%Y-%m-%d}" if dates else str(len(organisation.crls))


def node_rows(config: ChannelConfig, now_us: int) -> list[Row]:
    """The channel's nodes, those whose certificate ends soon first."""
    named: list[tuple[Node, str]] = [
        *((node, "orderer") for node in config.orderers.values()),
        *((node, "departing orderer") for node in config.departing_orderers.values()),
        *((node, "peer") for node in config.peers.values()),
    ]
    rows = []
    for node, role in named:
        ends = max(certificate.not_after_us for certificate in node.certificates)
        cells = {
            "node": Cell(node.name),
            "role": Cell(role if node.renewed is None else f"{role}, being renewed"),
            "organisation": Cell(node.mspid),
            "url": Cell(node.url),
            "ends": _end_cell(ends, now_us),
            "certificate": Cell(node.fingerprint[:12], whole=node.fingerprint),
        }
        rows.append((ends - now_us > SOON_US, Row(cells, "" if ends - now_us > SOON_US else "warn")))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


def _policy_rows(config: ChannelConfig) -> list[Row]:
    rows = []
    for group, texts in sorted(config.policies.items(), key=lambda one: (one[0] != CHANNEL, one[0])):
        for name, text in sorted(texts.items()):
            path = f"/{CHANNEL}/{name}" if group == CHANNEL else f"/{CHANNEL}/{group}/{name}"
            rows.append(Row({"policy": Cell(path), "words": Cell(_words_at(config, path)), "text": Cell(text)}))
    for mspid, item in sorted(config.organisations.items()):
        for name, text in sorted(item.policies.items()):
            words = policy_in_words(Policy.parse(text, (mspid,)))
            rows.append(Row({"policy": Cell(f"{mspid} {name}"), "words": Cell(words), "text": Cell(text)}))
    return rows


def _words_at(config: ChannelConfig, path: str) -> str:
    try:
        return policy_in_words(config.policy(path))
    except (GridLedgerError, KeyError):
        return "nobody: the channel has no organisation of this kind"


def _acl_rows(config: ChannelConfig) -> list[Row]:
    """What each policy admits to; resources that this channel gives another policy than the default are marked."""
    resources: dict[str, list[str]] = {}
    for resource in sorted(DEFAULT_ACLS):
        name = f"{resource} (by this channel's ACLs)" if resource in config.acls else resource
        resources.setdefault(config.policy_of(resource), []).append(name)
    return [
        Row({"words": Cell(_words_at(config, path)), "resources": Cell(", ".join(names)), "policy": Cell(path)})
        for path, names in sorted(resources.items())
    ]


def _limit_rows(config: ChannelConfig) -> list[Row]:
    values = {**config.batch.to_dict(), **config.limits.to_dict()}
    return [
        Row({"limit": Cell(name.replace("_", " ")), "value": Cell(f"{value:,}", value=value)})
        for name, value in values.items()
    ]


def _ends_us(pem: str) -> int:
    try:
        return Certificate.from_pem(pem).not_after_us
    except GridLedgerError:
        return 0


def _end_cell(ends_us: int, now_us: int) -> Cell:
    days = (ends_us - now_us) // 86_400_000_000
    text = f"in {days:,} d" if ends_us > now_us else "ended"
    return Cell(text, value=ends_us, state="" if ends_us - now_us > SOON_US else "warn" if ends_us > now_us else "bad")
