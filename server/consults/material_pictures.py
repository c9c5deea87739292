"""What a DICOM object among the materials shows: one picture or a clip, as pictures that a browser can paint.

JPEG baseline goes out as it came, byte for byte; everything else that pydicom decodes is made a PNG, which
loses nothing of its eight bits. Deeper grey is put through the object's own window (PS3.3 C.11.2), else
stretched.
"""

from __future__ import annotations

import asyncio
import io
import json
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image, UnidentifiedImageError
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_voi_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import JPEGBaseline8Bit

from media.errors import LocalProtocolError
from media.signals.formats.dicom import DAMAGED
from server.consults.errors import NO_PICTURES, PICTURES_TOO_LARGE, ActionRefused
from server.consults.limits import CLIP_BYTES, CLIP_PICTURES, CLIPS_WAITING, MATERIAL_PIXELS
from server.errors import BUSY

BROKEN = (
    *DAMAGED,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    LookupError,
    SyntaxError,
    zlib.error,
)
"""What pydicom and Pillow raise for damaged files."""

_JPEG_COLOURS = ("MONOCHROME2", "YBR_FULL", "YBR_FULL_422")
"""What a browser takes a JPEG without a colour mark for."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``spacing_mm`` of a pixel, across and down, within ``region``: left, top, right, bottom, pixels."""

    spacing_mm: tuple[float, float]
    region: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures in the order of time.

    :param frame_ms: from one to the next; None: the object does not say, or there is one.
    :param scale: where, and how, the picture may be measured.
    :param pictures: each a whole JPEG or PNG.
    """

    width: int
    height: int
    frame_ms: float | None
    scale: Scale | None
    pictures: tuple[bytes, ...]

    def packed(self) -> bytes:
        """A JSON head and each picture, each after its length (unsigned, 32 bits, big-endian)."""
        head = {
            "count": len(self.pictures),
            "width": self.width,
            "height": self.height,
            "frameMs": self.frame_ms,
            "spacingMm": self.scale and self.scale.spacing_mm,
            "region": self.scale and self.scale.region,
        }
        parts = (json.dumps(head).encode(), *self.pictures)
        return b"".join(struct.pack(">I", len(part)) + part for part in parts)


class MaterialPictures:
    """Reads clips one at a time: a picture of 50 million pixels takes 150 MB while it is decoded."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._pending = 0

    async def packed(self, path: Path) -> bytes:
        """As `Clip.packed`.

        :raises ActionRefused: as `read_clip`.
        :raises LocalProtocolError: busy, when `CLIPS_WAITING` are wanted already.
        """
        if self._pending >= CLIPS_WAITING:
            raise LocalProtocolError(BUSY, "too many clips at once")
        self._pending += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(lambda: read_clip(path).packed())
        finally:
            self._pending -= 1


def read_clip(path: Path) -> Clip:
    """What the object shows. Blocks.

    :raises ActionRefused: no_pictures, pictures_too_large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            dataset = pydicom.dcmread(path)
            count = int(dataset.get("NumberOfFrames") or 1)
            width, height = int(dataset.Columns), int(dataset.Rows)
            if not 0 < count <= CLIP_PICTURES or not 0 < width * height <= MATERIAL_PIXELS:
                raise ActionRefused(PICTURES_TOO_LARGE)
            pictures = tuple(_bounded(_pictures(dataset, count)))
            return Clip(width, height, _frame_ms(dataset, count), _scale(dataset, width, height), pictures)
    except BROKEN as problem:
        raise ActionRefused(NO_PICTURES, type(problem).__name__) from problem


def _bounded(pictures: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for picture in pictures:
        size += len(picture)
        if size > CLIP_BYTES:
            raise ActionRefused(PICTURES_TOO_LARGE)
        yield picture


def _pictures(dataset: Any, count: int) -> Iterator[bytes]:
    colours = str(dataset.PhotometricInterpretation)
    if dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit and colours in _JPEG_COLOURS:
        yield from generate_frames(dataset.PixelData, number_of_frames=count)
        return
    for pixels in iter_pixels(dataset):
        made = io.BytesIO()
        Image.fromarray(_eight_bits(pixels, dataset, colours)).save(made, "PNG", compress_level=1)
        yield made.getvalue()


def _eight_bits(pixels: Any, dataset: Any, colours: str) -> Any:
    if pixels.ndim == 3:
        return pixels.astype(np.uint8)
    if pixels.dtype != np.uint8:
        grey = apply_voi_lut(pixels, dataset).astype(np.float64)
        low, high = float(grey.min()), float(grey.max())
        pixels = ((grey - low) * (255.0 / max(high - low, 1.0))).round().astype(np.uint8)
    return 255 - pixels if colours == "MONOCHROME1" else pixels


def _frame_ms(dataset: Any, count: int) -> float | None:
    """PS3.3 C.7.6.5: the time between frames, or their rate."""
    if count == 1:
        return None
    if dataset.get("FrameTime"):
        return float(dataset.FrameTime)
    rate = float(dataset.get("RecommendedDisplayFrameRate") or dataset.get("CineRate") or 0)
    return 1000.0 / rate if rate > 0 else None


def _scale(dataset: Any, width: int, height: int) -> Scale | None:
    """PS3.3 C.8.5.5: one region in centimetres (unit code 3). One that reaches out of the picture belongs to
    another size of it, and its scale would be wrong.
    """
    regions = list(dataset.get("SequenceOfUltrasoundRegions") or ())
    if len(regions) != 1:
        return None
    [one] = regions
    if (one.get("PhysicalUnitsXDirection"), one.get("PhysicalUnitsYDirection")) != (3, 3):
        return None
    left, top = int(one.RegionLocationMinX0), int(one.RegionLocationMinY0)
    right, bottom = int(one.RegionLocationMaxX1), int(one.RegionLocationMaxY1)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        return None
    spacing = abs(float(one.PhysicalDeltaX)) * 10, abs(float(one.PhysicalDeltaY)) * 10
    return Scale(spacing, (left, top, right, bottom))
