"""Single changes of a channel's configuration, by what people call them: a policy, an ACL, limits, revocation lists.

Each makes a changed configuration of one. That it can be, its nodes can live with it and its admins have signed for it,
others see to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gridledger.errors import InputError, NotFoundError
from gridledger.protocol.acls import DEFAULT_ACLS
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.config_policies import CHANNEL, GROUPS, POLICY_PATHS
from gridledger.protocol.limits import BatchLimits, TransactionLimits

MAX_LIMIT = 2**31 - 1
_OWN_PARTS = 3


def with_policy(config: ChannelConfig, path: str, text: str) -> ChannelConfig:
    """With another policy at a path such as ``/Channel/Application/Admins``, or ``/Channel/Application/Org1MSP/Admins``
    for an organisation's own. NotFoundError names the paths that there are."""
    parts = path.removeprefix("/Channel/").split("/")
    if path in POLICY_PATHS:
        *group, name = parts
        policies = {key: dict(texts) for key, texts in config.policies.items()}
        policies[group[0] if group else CHANNEL][name] = text
        return replace(config, policies=policies)
    entry = config.organisations.get(parts[1]) if len(parts) == _OWN_PARTS else None
    if (
        entry is not None
        and path == f"/Channel/{GROUPS[entry.kind]}/{entry.mspid}/{parts[2]}"
        and parts[2] in entry.policies
    ):
        changed = replace(entry, policies={**entry.policies, parts[2]: text})
        return replace(config, organisations={**config.organisations, entry.mspid: changed})
    own = ", ".join(f"/Channel/{GROUPS[item.kind]}/{mspid}" for mspid, item in config.organisations.items())
    raise NotFoundError(
        f"{config.channel} has no policy {path!r:.200}; there are: {', '.join(sorted(POLICY_PATHS))}, and the Readers, "
        f"Writers, Admins and Endorsement of {own}"
    )


def with_acl(config: ChannelConfig, resource: str, path: str) -> ChannelConfig:
    """With the policy at another path admitting to a resource. Its default needs no entry."""
    if resource not in DEFAULT_ACLS:
        raise NotFoundError(f"there is no resource {resource!r:.80}; there are: {', '.join(sorted(DEFAULT_ACLS))}")
    if path not in POLICY_PATHS:
        raise NotFoundError(f"there is no policy {path!r:.200} for it; there are: {', '.join(sorted(POLICY_PATHS))}")
    acls = {name: item for name, item in config.acls.items() if name != resource}
    return replace(config, acls=acls if path == DEFAULT_ACLS[resource] else {**acls, resource: path})


def with_limits(config: ChannelConfig, values: Mapping[str, int]) -> ChannelConfig:
    """With other bounds, of ``limits`` and of ``batch``, by their names."""
    batch = {name: value for name, value in values.items() if name in BatchLimits.__dataclass_fields__}
    limits = {name: value for name, value in values.items() if name in TransactionLimits.__dataclass_fields__}
    return replace(config, batch=replace(config.batch, **batch), limits=replace(config.limits, **limits))


def read_limits(texts: Sequence[str]) -> dict[str, int]:
    """Bounds from ``NAME=VALUE``. Raises :class:`InputError`, which names those that there are."""
    known = [*TransactionLimits.__dataclass_fields__, *BatchLimits.__dataclass_fields__]
    found: dict[str, int] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known or not value.isascii() or not value.isdigit() or len(value) > len(str(MAX_LIMIT)):
            raise InputError(f"{text!r:.80} is no NAME=NUMBER with a NAME of {', '.join(known)}")
        found[name] = int(value)
    return found


def with_lists(config: ChannelConfig, mspid: str, lists: Sequence[str]) -> ChannelConfig:
    """With these revocation lists (PEM) and no others in an organisation's entry."""
    entry = replace(config.organisations[mspid], crls=tuple(lists))
    return replace(config, organisations={**config.organisations, mspid: entry})
