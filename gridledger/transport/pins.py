"""Pins: which certificates a node that is dialled may show. Checked once in each TLS handshake, after chain and host
name, and before anything is sent.

Without a pin any certificate passes that one of the trusted roots has issued for the host, a client's included.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridledger.errors import GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import MalformedCertificate
from gridledger.protocol.config import ChannelConfig, Node

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_log = logging.getLogger(__name__)


class PinMismatch(ssl.SSLCertVerificationError):
    """The server's certificate is not one of those that its pin allows. Ends the handshake."""

    def __init__(self, reason: str, expected: tuple[str, ...], seen: str) -> None:
        super().__init__(reason)
        self.why = reason
        self.expected = expected
        self.seen = seen

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class Pin:
    """What identifies the node ``node``: any one of these.

    ``fingerprints``: of the certificates themselves. ``subjects`` (DER): of any certificate that the trusted roots have
    issued in the node's name, such as one that it renewed. ``role``: of any that they have issued for this role, where
    no more is known of the node. Give one of them at least.
    """

    node: str
    fingerprints: frozenset[str] = frozenset()
    subjects: frozenset[bytes] = frozenset()
    role: str = ""

    def check(self, der: bytes | None) -> None:
        """Raise :class:`PinMismatch` for any other certificate than the node's."""
        expected = tuple(sorted(self.fingerprints))
        try:
            shown = Certificate.from_der(der or b"")
        except GridLedgerError as error:
            raise PinMismatch(f"{self.node} shows a certificate that cannot be read: {error}", expected, "") from None
        if shown.fingerprint in self.fingerprints or (self.role and self.role in shown.organisational_units):
            return
        if shown.subject_der in self.subjects:
            _log.info("%s shows a certificate that the config at hand does not name yet", self.node)
            return
        wanted = " or ".join(expected) or f"one for the role {self.role!r}"
        raise PinMismatch(
            f"this is not {self.node}: its certificate should be {wanted}, and the one shown is {shown.fingerprint} "
            f"(of {shown.common_name!r}). If {self.node} renewed its certificate, the channel's config must name the "
            "new one first",
            expected,
            shown.fingerprint,
        )


class PinnedContext(ssl.SSLContext):
    """A client's TLS context whose connections end in the handshake unless the server is the node of ``pin``.

    For connections of an event loop, which are :class:`ssl.SSLObject`; a plain socket cannot be wrapped.
    """

    pin: Pin

    def wrap_socket(self, *_: Any, **__: Any) -> ssl.SSLSocket:
        """Refuse: a socket of its own would not be checked."""
        raise TypeError("a pinned context is for the connections of an event loop")


class _PinnedConnection(ssl.SSLObject):
    """One connection of a :class:`PinnedContext`."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        assert isinstance(context, PinnedContext)  # noqa: S101 - made by it
        context.pin.check(self.getpeercert(binary_form=True))


PinnedContext.sslobject_class = _PinnedConnection


class Dialled(NamedTuple):
    """What is needed to dial a node: its URL, the roots (PEM) that its certificate must lead to, and its pin, if it has
    one. ``mspid``: its organisation, where roots or pin are that one's alone."""

    url: str
    roots_pem: str
    pin: Pin | None
    mspid: str = ""


def peers_of(config: ChannelConfig) -> dict[str, Dialled]:
    """The channel's peers by name, as its config identifies them: by their certificates alone."""
    return _dialled(config, config.peers.values())


def orderers_of(config: ChannelConfig) -> dict[str, Dialled]:
    """The channel's orderers by name, as its config identifies them: by their certificates alone."""
    return _dialled(config, config.orderers.values())


def raft_nodes_of(config: ChannelConfig) -> dict[str, Dialled]:
    """The same, and the departing orderer: those that talk Raft."""
    return _dialled(config, config.raft_nodes.values())


def block_sources_of(config: ChannelConfig, local_roots_pem: str, *, departing: bool = False) -> dict[str, Dialled]:
    """The channel's orderers by name, for fetching blocks; with ``departing`` the one that departs too.

    Who joins with an old config meets orderers that have renewed their certificates since, perhaps under a new root,
    and learns of both from the blocks. These carry their own proof, so a certificate of the same subject is enough,
    issued by the orderer's organisation, or by a local root (of the settings) that is no other organisation's.
    """
    owned = {root.der for msp in config.msps.msps.values() for root in msp.roots}
    local = "".join(root.pem for root in roots_in(local_roots_pem) if root.der not in owned)
    found = {}
    for name, dialled in (raft_nodes_of(config) if departing else orderers_of(config)).items():
        node = config.raft_nodes[name]
        pin = Pin(name, frozenset(node.fingerprints), frozenset({node.certificate.subject_der}))
        found[name] = Dialled(dialled.url, dialled.roots_pem + local, pin)
    return found


def roots_in(bundle: str) -> list[Certificate]:
    """The certificates of a PEM bundle that can be an organisation's roots; text around them is passed over."""
    found = []
    for part in bundle.split(_END)[:-1]:
        with suppress(MalformedCertificate):
            found.append(Certificate.from_pem(_BEGIN + part.rpartition(_BEGIN)[2] + _END))
    return found


def _dialled(config: ChannelConfig, nodes: Iterable[Node]) -> dict[str, Dialled]:
    roots = {mspid: "".join(root.pem for root in msp.roots) for mspid, msp in config.msps.msps.items()}
    return {
        node.name: Dialled(
            node.url.rstrip("/"), roots[node.mspid], Pin(node.name, frozenset(node.fingerprints)), node.mspid
        )
        for node in nodes
    }
