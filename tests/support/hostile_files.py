"""Case files made to harm: bombs, and seeded mutations of files that are whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile

from matpowercaseframes import CaseFrames
from pandas import DataFrame
from scipy.io import savemat

from tests.support.case_files import case_file

_MAT_HEAD = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\x00\x01IM"
_BLOCK = 16 * 1024 * 1024
EDGES = (0, 1, 5, 9, 14, 15, 17, 0x7F, 0x80, 0xFF)


def mat_file(*, compressed: bool) -> bytes:
    """The bytes of case14's .mat file."""
    file = BytesIO()
    savemat(file, {"mpc": CaseFrames(case_file("case14")).to_mpc()}, oned_as="column", do_compression=compressed)
    return file.getvalue()


def mutants(whole: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Files with bytes and words changed, cut out, doubled. Inside compressed elements, too, which are packed again."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(whole)
        element = _compressed_element(whole) if random.random() < 0.7 else None
        if element is None:
            yield bytes(_mutated(data, random, first=124))
        else:
            packed = zlib.compress(_mutated(bytearray(element), random, first=0))
            yield whole[:128] + struct.pack("<II", 15, len(packed)) + packed


def _compressed_element(whole: bytes) -> bytes | None:
    kind, size = struct.unpack_from("<II", whole, 128)
    return zlib.decompress(whole[136 : 136 + size]) if kind == 15 else None


def _mutated(data: bytearray, random: Random, *, first: int) -> bytearray:
    # Most of a file is numbers; what is told of them stands in words of four bytes at its front and before each table.
    for _ in range(random.randint(1, 6)):
        last = len(data) if random.random() < 0.4 else min(len(data), first + 400)
        at = random.randrange(first, max(first + 1, last - 4))
        match random.randrange(5):
            case 0:
                data[at] = random.choice(EDGES)
            case 1:
                data[at] ^= 1 << random.randrange(8)
            case 2:
                word = random.choice((*EDGES, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF8, 1 << 20))
                data[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, "little")
            case 3:
                del data[at : at + random.randint(1, 64)]
            case 4:
                data[at:at] = data[at : at + random.randint(1, 64)]
    return data


def mat_bomb(inflated: int) -> bytes:
    """A .mat file with one compressed element that inflates to ``inflated`` bytes and more."""
    packer = zlib.compressobj()
    begin = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = begin + again * (inflated // _BLOCK)
    return _MAT_HEAD + struct.pack("<II", 15, len(packed)) + packed


def workbook_bomb(inflated: int) -> bytes:
    """A workbook whose sheet inflates to ``inflated`` bytes and more."""
    file = BytesIO(far_cell_workbook())
    with ZipFile(file, "a", ZIP_DEFLATED, compresslevel=1) as archive, archive.open("xl/more.xml", "w") as member:
        for _ in range(inflated // _BLOCK + 1):
            member.write(bytes(_BLOCK))
    return file.getvalue()


def far_cell_workbook() -> bytes:
    """A workbook of a few hundred bytes whose sheet has its one number in the last row and column that there can be."""
    file = BytesIO()
    DataFrame([[1]]).to_excel(file, sheet_name="bus", startrow=1_048_574, startcol=16_382)
    return file.getvalue()
