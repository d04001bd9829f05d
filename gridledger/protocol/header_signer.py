"""Which orderer has signed a header, under a configuration of the channel."""

from __future__ import annotations

from gridledger.identity.certificate import Certificate
from gridledger.identity.errors import IdentityError
from gridledger.protocol.block import BlockHeader, HeaderSignature
from gridledger.protocol.config import ChannelConfig, Node


def named_orderer(
    header: BlockHeader, signature: HeaderSignature, config: ChannelConfig
) -> tuple[Node, Certificate] | None:
    """The orderer that a signature names, with the certificate that it names; None where that is none at the header's
    time under this configuration. Whether the signature holds is for the certificate to say."""
    node = config.orderers_by_fingerprint.get(signature.orderer)
    if node is None:
        return None
    certificate = node.certificate_with(signature.orderer)
    try:
        identity = config.msps.identify(certificate, header.timestamp_us)
    except IdentityError:
        return None
    return (node, certificate) if (identity.mspid, identity.role) == (node.mspid, "orderer") else None
