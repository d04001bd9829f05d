"""Who may read a service's metrics: they tell of queues, faults and every channel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from gridledger.identity.msp import Identity

MayReadMetrics: TypeAlias = Callable[[Any], bool]
"""Whether a caller, as the service's ``identify`` gives it, may."""


def admins_and(named: Collection[str], organisations: Collection[str]) -> MayReadMetrics:
    """Admins of these organisations (MSP ids), and whom ``named`` has: ``MSPID/NAME``, the certificate's common name.

    The second is for Prometheus, under a client's certificate of its own.
    """
    readers, own = frozenset(named), frozenset(organisations)

    def may_read(caller: Identity) -> bool:
        return (caller.role == "admin" and caller.mspid in own) or f"{caller.mspid}/{caller.name}" in readers

    return may_read


def own_admins_and(named: Collection[str], is_own_admin: Callable[[Identity], bool]) -> MayReadMetrics:
    """As :func:`admins_and`, for a node, which says itself who its organisation's admins are."""
    may = admins_and(named, ())
    return lambda caller: is_own_admin(caller) or may(caller)


def nobody(_caller: Any) -> bool:
    """Where a service says nothing else."""
    return False
