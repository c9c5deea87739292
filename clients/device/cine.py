"""An ultrasound cine: the pictures of a DICOM multi-frame object (PS3.3 C.8.5.6), decoded once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.uid import JPEGBaseline8Bit

from media.errors import RemoteProtocolError
from media.signals.errors import SIGNAL_UNSUPPORTED

MAX_BYTES = 512 * 1024 * 1024  # of decoded pictures in memory: 20 s of 1024 x 768 at 10 a second, and spare
DEFAULT_FRAME_MS = 40.0  # where the object does not say (FrameTime is type 1C)

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Cine:
    """A clip.

    :param pictures: RGB, shape (height, width, 3), both sides even.
    :param frame_s: seconds from one picture to the next.
    """

    pictures: tuple[Picture, ...]
    frame_s: float

    @property
    def duration_s(self) -> float:
        return len(self.pictures) * self.frame_s

    def picture(self, number: int) -> Picture:
        """The picture at ``number``, beginning anew after the last."""
        return self.pictures[number % len(self.pictures)]


def sample_cine() -> Path:
    """The real cine in pydicom's wheel: 30 pictures of 320 x 240, 33.33 ms.

    :raises RemoteProtocolError: ``signal_unsupported`` when the wheel does not have it.
    """
    path = get_testdata_file("examples_ybr_color.dcm", download=False)
    if not isinstance(path, str):
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "pydicom has no examples_ybr_color.dcm")
    return Path(path)


def read_cine(data: bytes) -> Cine:
    """Decode a multi-frame object, JPEG baseline or uncompressed RGB.

    :raises RemoteProtocolError: ``signal_unsupported`` for anything else.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        frame_ms = float(dataset.get("FrameTime") or DEFAULT_FRAME_MS)
        count, rows, columns = (
            int(dataset.get("NumberOfFrames", 1)),
            int(dataset.Rows),
            int(dataset.Columns),
        )
        if not count or frame_ms <= 0 or count * rows * columns * 3 > MAX_BYTES:
            raise RemoteProtocolError(SIGNAL_UNSUPPORTED, "pictures, size or frame time")
        pictures = tuple(_even(picture) for picture in _pictures(dataset, count))
    except (InvalidDicomError, AttributeError, ValueError, TypeError, av.FFmpegError) as problem:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, type(problem).__name__) from problem
    if len(pictures) != count:
        raise RemoteProtocolError(SIGNAL_UNSUPPORTED, f"{len(pictures)} of {count} pictures")
    return Cine(pictures, frame_ms / 1000)


def _pictures(dataset: Any, count: int) -> Iterator[Picture]:
    if dataset.file_meta.TransferSyntaxUID != JPEGBaseline8Bit:
        raw = dataset.pixel_array.reshape(count, int(dataset.Rows), int(dataset.Columns), -1)
        yield from (np.broadcast_to(one, (*one.shape[:2], 3)).astype(np.uint8) for one in raw)
        return
    for jpeg in generate_frames(dataset.PixelData, number_of_frames=count):
        # The JPEG carries YBR; FFmpeg converts it, so no imaging library is needed for this.
        decoder = av.CodecContext.create("mjpeg", "r")
        frames = decoder.decode(av.Packet(jpeg)) + decoder.decode(None)
        yield from (frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames)


def _even(picture: Picture) -> Picture:
    """4:2:0 video wants even sides; one row or column at the edge is given up."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    return np.ascontiguousarray(picture[:height, :width])
