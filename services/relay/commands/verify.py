"""``gridledger relay verify``: a chain in the article's form. Needs no network."""

from __future__ import annotations

from pathlib import Path

from gridledger.cli.output import say_json
from services.relay.article import MAX_CHAIN_BYTES, verify_chain
from services.relay.commands.files import read_bytes
from services.relay.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Print length and head; a refusal names the block and the member."""
    parser = new_parser(
        "verify",
        "Verify a chain in the article's form, as 'export --article' writes it and a server's /get_chain answers: "
        "form, times, hashes, that each proof is the least, and that no capture is in it twice. A proof takes some "
        "60 ms to find; there are 225, so that the longest chain takes some 15 s more.",
        ("verify chain.json",),
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the chain's JSON")
    options = parser.parse_args(argv)
    say_json(verify_chain(read_bytes(options.file, MAX_CHAIN_BYTES)))
    return 0
