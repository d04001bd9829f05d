"""What a package says of itself, for whoever opens it."""

from __future__ import annotations

from typing import Final

README_TEXT: Final = """\
GridLedger evidence package

To verify it you need what this package cannot give you, in a folder ROOTS: the root certificates of the organisations,
the header hash of block 0 of the anchoring channel (genesis.json), and which chaincodes are meant for anchors, devices
and sections, with the SHA-256 of their packages (roles.json). A member whom you trust writes it (gridledger case
roots). Without roles.json the verifier names the chaincodes that this package takes: compare them yourself.

With GridLedger installed, without a network:

    gridledger case verify THIS.zip --roots ROOTS

With Python 3.11 or later and the package cryptography alone:

    python verify.pyz THIS.zip --roots ROOTS

The verify.pyz in this package comes from whoever made the package, and could say anything. Use your own, or compare its
SHA-256 with that of a GridLedger that you trust: gridledger case verify tells both.

Exit codes: 0 proved, 1 broken (the step and the file are named), 2 wrong usage, 3 not anchored yet.

What it shows when it is proved: the transactions that manifest.json lists as evidence stand on the channels' chains
and are valid there; a majority of each channel's organisations has attested that, and nobody could change it since
without their keys; each event was said by a device that knew the secret of the key that the ledger has of it.

What it does not show: that what a device said was true, that a device's key was in nobody else's hands, that nothing
else happened, and what the code of the chaincodes does, as their records are worth what it lets in. manifest.json lists
under "disclosed" the transactions that came along, as a commit hash covers whole blocks.

Format 1: manifest.json has the SHA-256 of every file. channels/C/N.block are the frames of block N (a length of 4
bytes, big-endian, and so many bytes each): the header's text, then each envelope. channels/C/chain.json has the
anchors, and of each block the validation codes, the commit hash before it, the orderer's signature and its path.
bodies.json has bodies that stay off the chain, with the salts of their hashes; rows.json rows of measurements, each
with its path to the root that its batch has on the chain (RFC 6962); attachments/ files that batches name.
"""
