"""A package's time stamp as commands name it: ``--stamp FILE``, and ``--tsa-roots FILE``, whom to trust for it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from gridledger.errors import InputError
from gridledger.evidence.report import Report
from gridledger.evidence.stamp import MAX_ROOTS_BYTES, MAX_STAMP_BYTES, read_tsa_roots
from gridledger.evidence.verification import verify_stamp


@dataclass(frozen=True, slots=True)
class StampFile:
    """A stamp's file, and the certificates that are trusted for it; none where it is only to be read."""

    name: str
    data: bytes
    roots: list[x509.Certificate]

    def judge(self, report: Report, package: bytes) -> None:
        """Add to a package's report what its stamp shows."""
        verify_stamp(report, package, self.data, name=self.name, roots=self.roots)


def add_stamp(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--stamp", type=Path, metavar="FILE", help="the package's time stamp, from 'case stamp'")
    add_tsa_roots(parser)


def add_tsa_roots(parser: argparse.ArgumentParser) -> None:
    """Whom to trust for a stamp."""
    parser.add_argument(
        "--tsa-roots",
        type=Path,
        metavar="FILE",
        help="root certificates of the time stamp authority (PEM; intermediate ones may stand with them)",
    )


def stamp_of(options: argparse.Namespace) -> StampFile | None:
    """The stamp that the options name; :class:`InputError`."""
    roots = tsa_roots_of(options)
    if options.stamp is not None:
        return StampFile(options.stamp.name, read_part(options.stamp, MAX_STAMP_BYTES + 1), roots)
    if roots:
        raise InputError("--tsa-roots says whom to trust for a time stamp: name it with --stamp")
    return None


def tsa_roots_of(options: argparse.Namespace) -> list[x509.Certificate]:
    """The certificates that the options name; none without them."""
    file: Path | None = options.tsa_roots
    return [] if file is None else read_tsa_roots(read_part(file, MAX_ROOTS_BYTES + 1), str(file))


def read_part(file: Path, most: int) -> bytes:
    """A file's first ``most`` bytes; :class:`InputError`."""
    try:
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from None
