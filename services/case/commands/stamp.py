"""``gridledger case stamp``: a time stamp authority's stamp over an evidence package, in a file beside it."""

from __future__ import annotations

import argparse
import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger.cli.output import note, say_fields, say_json
from gridledger.errors import InputError, LimitError
from gridledger.evidence.canonical_zip import MAX_BYTES
from gridledger.evidence.package import read_package
from gridledger.evidence.stamp import check_stamp
from gridledger.files import write_atomically
from services.case.commands.network_options import add_json
from services.case.commands.options import new_parser
from services.case.stamp_files import add_tsa_roots, read_part, tsa_roots_of
from services.case.stamping import ask_tsa, request_over, tsa_url

SUFFIX: Final = ".tsr"


def main(argv: list[str]) -> int:
    """Have a package stamped; the exit code."""
    parser = new_parser(
        "stamp",
        "Ask a time stamp authority (RFC 3161) for a stamp over a package: that these bytes were there at that time, "
        "by the word of somebody who is in no way concerned. The authority sees the package's SHA-256 and nothing else "
        "of it. The stamp is kept in a file beside the package, which stays as it is; 'case verify --stamp' and "
        "'openssl ts -verify' verify it.",
        (
            "stamp case.zip --tsa https://tsa.example.org/tsr --tsa-roots tsa.pem",
            "verify case.zip --roots ROOTS --stamp case.zip.tsr --tsa-roots tsa.pem",
        ),
    )
    parser.add_argument("package", type=Path, metavar="FILE", help="the package")
    parser.add_argument("--tsa", required=True, metavar="URL", help="the time stamp authority, http or https")
    add_tsa_roots(parser)
    parser.add_argument(
        "--out", type=Path, metavar="STAMP", help=f"the stamp; it must not be there (default: FILE{SUFFIX})"
    )
    add_json(parser)
    options = parser.parse_args(argv)
    told = _stamped(options)
    if options.as_json:
        say_json(told)
    else:
        names = ("package", "sha256", "stamp", "time", "authority", "serial", "policy")
        say_fields({name: told[name] for name in names})
    if not told["verified"]:
        note("note: the stamp's signature was not checked: name the authority's root certificates with --tsa-roots")
    return 0


def _stamped(options: argparse.Namespace) -> dict[str, Any]:
    url, roots = tsa_url(options.tsa), tsa_roots_of(options)
    out: Path = options.out or options.package.with_name(options.package.name + SUFFIX)
    if out.exists():
        raise InputError(f"{out} is there already: name another file with --out, or remove it")
    package = read_part(options.package, MAX_BYTES + 1)
    if len(package) > MAX_BYTES:
        raise LimitError(f"{options.package}: a package has at most {MAX_BYTES} bytes")
    read_package(package)  # a stamp over anything else would be of no use, and is not seen to be so before it is needed
    request = request_over(package)
    answer = asyncio.run(ask_tsa(url, request))
    digest = sha256(package).digest()
    stamp = check_stamp(answer, digest, roots=roots, nonce=request.nonce)
    write_atomically(out, answer)
    return {
        "package": str(options.package),
        "sha256": digest.hex(),
        "stamp": str(out),
        "time": stamp.time,
        **stamp.to_dict(),
    }
