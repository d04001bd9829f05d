"""Where things lie in the world state. Digits are padded, so that keys ascend as their numbers do.

What many write at once has a key of its own for each of them: acknowledgements, reads, suspicions. What they all read
(an object, a version's manifest, a holder) is written seldom, and never by one of them.
"""

from __future__ import annotations

from typing import Final

CYCLE_DIGITS: Final = 8
VERSION_DIGITS: Final = 8
SERIES_DIGITS: Final = 4
NUMBER_DIGITS: Final = 4

BASE: Final = "base"
CYCLE: Final = "cycle"
CLUSTERS: Final = "cluster/"
JOINS: Final = "join/"
HOLDERS: Final = "holder/"
ACTIVE: Final = "active/"
OBJECTS: Final = "object/"


def cluster(name: str) -> str:
    """A cluster's record as it is now."""
    return f"cluster/{name}"


def past_cycle(number: int) -> str:
    """A cycle as it began, the present one too; never written again."""
    return f"cycle/{number:0{CYCLE_DIGITS}d}"


def join(holder: str) -> str:
    """Who wants to be this holder; until it is admitted."""
    return f"join/{holder}"


def holder(name: str) -> str:
    """A holder's record as it is now."""
    return f"holder/{name}"


def active_in(cluster_name: str, holder_name: str) -> str:
    """That a holder is admitted and not revoked, with its id and its first cycle: all that a cycle begins with."""
    return f"active/{cluster_name}/{holder_name}"


def revoked(name: str) -> str:
    """Why and when a holder (by its name) or a caller (by the SHA-256 of its certificate) was revoked."""
    return f"revoked/{name}"


def holder_id(x: str) -> str:
    """Whose id this is; never another's."""
    return f"id/{x}"


def public_key(sha256: str) -> str:
    """Whose public key this is, of signatures or of HPKE; never another's."""
    return f"key/{sha256}"


def suspicions(holder_name: str) -> str:
    """Before the names of all that suspect a holder."""
    return f"suspect/{holder_name}/"


def suspicion(holder_name: str, by: str) -> str:
    """What one member says against a holder."""
    return f"suspect/{holder_name}/{by}"


def an_object(name: str) -> str:
    """What holds for all versions of an object, and the number of the newest."""
    return f"object/{name}"


def in_clusters(cluster_name: str) -> str:
    """Before the names of a cluster's objects."""
    return f"listed/{cluster_name}/"


def in_cluster(cluster_name: str, name: str) -> str:
    """Lists an object under its cluster."""
    return f"listed/{cluster_name}/{name}"


def version(name: str, number: int) -> str:
    """A version's manifest; never written again."""
    return f"version/{name}/{number:0{VERSION_DIGITS}d}"


def settled(name: str, number: int) -> str:
    """Stands once a version is stored."""
    return f"settled/{name}/{number:0{VERSION_DIGITS}d}"


def stored(name: str) -> str:
    """Which is the newest version that is stored."""
    return f"stored/{name}"


def ack(name: str, number: int, holder_name: str) -> str:
    """That a holder has its share."""
    return f"ack/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}"


def deleted(name: str, number: int, holder_name: str) -> str:
    """That a holder has its share no more."""
    return f"deleted/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}"


def bad(name: str, number: int, holder_name: str) -> str:
    """The proof that a holder served another share; until it is repaired."""
    return f"bad/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}"


def repaired(name: str, number: int, holder_name: str) -> str:
    """How often a holder's share was repaired, and the audits that the last repair brought."""
    return f"repaired/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}"


def reads(name: str) -> str:
    """Before the transactions that granted a read of an object."""
    return f"read/{name}/"


def read(name: str, tx_id: str) -> str:
    """A read that was granted; never written again."""
    return f"read/{name}/{tx_id}"


def audits(name: str, number: int, holder_name: str) -> str:
    """Before a holder's audits of a version: series, then number."""
    return f"audit/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}/"


def audit(name: str, number: int, holder_name: str, series: int, audit_number: int) -> str:
    """One audit. ``series``: 0 for the manifest's audits, one more with each repair that brings new ones."""
    rest = f"{series:0{SERIES_DIGITS}d}/{audit_number:0{NUMBER_DIGITS}d}"
    return audits(name, number, holder_name) + rest


def tally(name: str, number: int, holder_name: str) -> str:
    """How a holder's audits of a version went."""
    return f"tally/{name}/{number:0{VERSION_DIGITS}d}/{holder_name}"
