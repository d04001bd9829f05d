"""Sound files, read block by block with bounds: WAV and its relatives, FLAC, Ogg and MP3, by libsndfile."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from services.case.enf.errors import BadRecording

Samples = NDArray[np.float32]

MOST_BYTES: Final = 16 * 1024**3
MOST_SECONDS: Final = 48 * 3_600
MOST_CHANNELS: Final = 8
LEAST_RATE, MOST_RATE = 200, 768_000
FORMATS: Final = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3")
_BLOCK: Final = 1 << 18
"""Samples of all channels that are read together: 1 MB."""
_LOUDEST: Final = 1_000.0
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
"""What a recorder writes that cannot go back to the header; the sound then reaches to the end of the file."""
_HEADER: Final = 12
_MOST_CHUNKS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Format:
    """What a file's header says. ``frames`` have one sample for each channel."""

    kind: str
    coding: str
    rate: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Length of the sound."""
        return self.frames / self.rate


class Recording:
    """A sound file. A context manager; its blocks can be read once."""

    def __init__(self, path: Path, *, allow_cut: bool = False) -> None:
        """Open it and check it against the bounds.

        ``allow_cut``: take what is there of a WAV file that is shorter than its header says.
        :class:`BadRecording` where it cannot be read.
        """
        import soundfile  # noqa: PLC0415 -- of the extra forensics

        self._path, self._failure = path, soundfile.LibsndfileError
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                cut = _cut_short(file, size)
        except OSError as error:
            raise BadRecording(f"{path}: {error.strerror or error}") from None
        if size > MOST_BYTES:
            raise BadRecording(f"{path}: {size} bytes; at most {MOST_BYTES} are read")
        if size == 0:
            raise BadRecording(f"{path}: the file is empty")
        if cut and not allow_cut:
            raise BadRecording(f"{path}: {cut}; --allow-cut takes what is there")
        try:
            self._file = soundfile.SoundFile(os.fspath(path))
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            raise BadRecording(f"{path}: it is no sound that can be read: {error}") from None
        try:
            self.format = self._checked()
        except BadRecording:
            self._file.close()
            raise

    def _checked(self) -> Format:
        file = self._file
        found = Format(file.format, file.subtype, file.samplerate, file.channels, file.frames)
        if found.kind not in FORMATS:
            raise BadRecording(f"{self._path}: the format {found.kind} is not read; convert it to WAV")
        if not LEAST_RATE <= found.rate <= MOST_RATE:
            raise BadRecording(
                f"{self._path}: {found.rate} samples a second; {LEAST_RATE} to {MOST_RATE} can be compared"
            )
        if not 1 <= found.channels <= MOST_CHANNELS:
            raise BadRecording(f"{self._path}: {found.channels} channels; at most {MOST_CHANNELS} are read")
        if found.frames < 1:
            raise BadRecording(f"{self._path}: there is no sound in it")
        if found.duration_s > MOST_SECONDS:
            raise BadRecording(
                f"{self._path}: {found.duration_s:.0f} s long; at most {MOST_SECONDS} s are compared at once: split it"
            )
        return found

    def blocks(self) -> Iterator[Samples]:
        """Samples in [-1, 1], a row a frame and a column a channel; what is no number becomes zero."""
        frames, left = max(1, _BLOCK // self.format.channels), self.format.frames
        while left > 0:
            try:
                block = self._file.read(min(frames, left), dtype="float32", always_2d=True)
            except (self._failure, RuntimeError) as error:
                raise BadRecording(f"{self._path}: the sound cannot be read to its end: {error}") from None
            if not len(block):
                raise BadRecording(
                    f"{self._path}: it ends {left} frames before the {self.format.frames} of which its header tells"
                )
            left -= len(block)
            if not np.isfinite(block).all() or np.abs(block).max() > _LOUDEST:  # files of floats can hold anything
                block = np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
            yield block

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _cut_short(file: BinaryIO, size: int) -> str:
    """What a WAV file's header promises beyond the file's end; empty where it keeps its promise.

    libsndfile would take what is there without a word.
    """
    head = file.read(_HEADER)
    if len(head) < _HEADER or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return ""
    at = _HEADER
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        chunk = file.read(8)
        if len(chunk) < 8:  # noqa: PLR2004 - a chunk's name and length
            return "the WAV file has no data chunk: it is cut short, or no recording"
        name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        if name == b"data":
            there = size - at - 8
            if length in _UNKNOWN_SIZES or length <= there:
                return ""
            return f"its header tells of {length} bytes of sound, and {there} are there: the file is cut short"
        at += 8 + length + length % 2
    return "the WAV file has more chunks than any recorder writes"
