"""The policies of a channel's configuration: their names, their defaults, and what an ImplicitMeta counts.

Fabric's tree, with its paths: ``/Channel/Readers``, ``/Channel/Application/Writers``,
``/Channel/Application/Org1MSP/Admins``. An organisation's policies stand in its entry, those of the channel and of its
three groups in ``policies``. A group has the organisations of one kind, and an ImplicitMeta in it counts their policies
of that name; one of the channel counts those of the groups that have an organisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridledger.identity.errors import MalformedPolicy
from gridledger.identity.policy import Policy
from gridledger.identity.policy_text import ImplicitMeta

CHANNEL: Final = "Channel"
APPLICATION, ORDERER, OBSERVER = "application", "orderer", "observer"
GROUPS: Final = {APPLICATION: "Application", ORDERER: "Orderer", OBSERVER: "Observer"}
"""By the kind of an organisation: the group that it belongs to."""

ORGANISATION_POLICIES: Final = frozenset(("Readers", "Writers", "Admins", "Endorsement"))
GROUP_POLICIES: Final = {
    CHANNEL: frozenset(("Readers", "Writers", "Admins")),
    "Application": frozenset(("Readers", "Writers", "Admins", "Endorsement", "LifecycleEndorsement")),
    "Orderer": frozenset(("Readers", "Writers", "Admins", "BlockValidation")),
    "Observer": frozenset(("Readers",)),
}
POLICY_PATHS: Final = frozenset(
    f"/{CHANNEL}/{name}" if group == CHANNEL else f"/{CHANNEL}/{group}/{name}"
    for group, names in GROUP_POLICIES.items()
    for name in names
)
"""The policies of the channel and of its groups."""

MAX_POLICY_CHARS = 4096
MAX_ORGANISATION_POLICY_CHARS = 1024
"""An ImplicitMeta has the policies of all organisations in it, so one of them is shorter."""

CHANNEL_ADMINS: Final = "/Channel/Admins"
APPLICATION_ADMINS: Final = "/Channel/Application/Admins"
ORDERER_ADMINS: Final = "/Channel/Orderer/Admins"


def default_policies() -> dict[str, dict[str, str]]:
    """The policies of the channel and its groups as Fabric's configtxgen writes them, and the observers'."""
    usual = {"Readers": "ANY Readers", "Writers": "ANY Writers", "Admins": "MAJORITY Admins"}
    return {
        CHANNEL: dict(usual),
        "Application": {**usual, "Endorsement": "MAJORITY Endorsement", "LifecycleEndorsement": "MAJORITY Endorsement"},
        "Orderer": {**usual, "BlockValidation": "ANY Writers"},
        "Observer": {"Readers": "ANY Readers"},
    }


def organisation_policies(mspid: str, kind: str = APPLICATION) -> dict[str, str]:
    """An organisation's policies where it gives none: whoever has a role reads and writes, one admin changes its
    entry, one of its peers endorses for it. Its peers write because the gateway on them brings what clients sign."""
    members = f"'{mspid}.member'" if kind == ORDERER else f"OR('{mspid}.admin', '{mspid}.peer', '{mspid}.client')"
    return {
        "Readers": members,
        "Writers": members,
        "Admins": f"'{mspid}.admin'",
        "Endorsement": f"'{mspid}.peer'",
    }


def check_organisation_policies(mspid: str, texts: Mapping[str, str]) -> None:
    """Raise :class:`MalformedPolicy` for what is no signature policy of the organisation's own principals.

    Else its admins, who change their entry alone, would say what another organisation's signature is worth.
    """
    for name, text in texts.items():
        policy = Policy.parse(text, (mspid,))
        if others := sorted(policy.mspids - {mspid}):
            raise MalformedPolicy(
                f"the policy {name} of {mspid} names {', '.join(others)}: an organisation's own policies name its own "
                "principals alone",
                policy=text,
            )


class Membership(NamedTuple):
    """What policies ask of an organisation: its kind, and its own policies."""

    kind: str
    policies: Mapping[str, str]


class ChannelPolicies:
    """The policies of one configuration by their paths. Each is built when it is first asked for."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]], organisations: Mapping[str, Membership]) -> None:
        self._texts = texts
        self._organisations = organisations
        self._members = {
            kind: tuple(sorted(mspid for mspid, item in organisations.items() if item.kind == kind)) for kind in GROUPS
        }
        self._found: dict[str, Policy] = {}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ChannelPolicies:
        """The policies of a configuration's plain JSON, which was read before."""
        members = config["organisations"].items()
        return cls(config["policies"], {name: Membership(item["kind"], item["policies"]) for name, item in members})

    def members(self, kind: str) -> tuple[str, ...]:
        """The MSP ids of the organisations of a kind, sorted."""
        return self._members[kind]

    def at(self, path: str) -> Policy:
        """The policy at a path; KeyError where there is none, :class:`MalformedPolicy` where it cannot be read."""
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = self._build(path)
        return found

    def endorsement(self, text: str) -> Policy:
        """A chaincode's endorsement policy: a signature policy, an ImplicitMeta over the application organisations, or
        the path of one of their group's policies, such as ``/Channel/Application/Endorsement``."""
        if text.startswith("/"):
            if text not in POLICY_PATHS or not text.startswith("/Channel/Application/"):
                raise MalformedPolicy(
                    f"{text!r:.80} is no policy of the application organisations, as /Channel/Application/Endorsement",
                    policy=text,
                )
            return self.at(text)
        found = self._found.get(text)
        if found is None:
            found = self._found[text] = self._in_group(APPLICATION, text)
        return found

    def admins_of(self, mspid: str) -> str:
        """The path of an organisation's Admins policy; KeyError where the channel has no such organisation."""
        return f"/Channel/{GROUPS[self._organisations[mspid].kind]}/{mspid}/Admins"

    def _build(self, path: str) -> Policy:
        kinds = {group: kind for kind, group in GROUPS.items()}
        match path.split("/"):
            case ["", "Channel", name]:
                return self._in_channel(self._texts[CHANNEL][name])
            case ["", "Channel", group, name] if group in kinds:
                return self._in_group(kinds[group], self._texts[group][name])
            case ["", "Channel", group, mspid, name] if mspid in self._members.get(kinds.get(group, ""), ()):
                return Policy.parse(self._organisations[mspid].policies[name], (mspid,))
        raise KeyError(path)

    def _in_group(self, kind: str, text: str) -> Policy:
        meta = ImplicitMeta.read(text)
        if meta is None:
            return Policy.parse(text, self._members[APPLICATION])
        paths = [f"/Channel/{GROUPS[kind]}/{mspid}/{meta.policy}" for mspid in self._members[kind]]
        return Policy.counting(text, [self.at(path) for path in paths])

    def _in_channel(self, text: str) -> Policy:
        meta = ImplicitMeta.read(text)
        if meta is None:
            return Policy.parse(text, self._members[APPLICATION])
        groups = [group for kind, group in GROUPS.items() if self._members[kind] and meta.policy in self._texts[group]]
        return Policy.counting(text, [self.at(f"/Channel/{group}/{meta.policy}") for group in groups])
