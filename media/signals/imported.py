"""A waveform from a file as a stored stream: the same bytes on the disk as if a device had sent it, so that
whatever reads stored streams reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from media.signals import records
from media.signals.descriptor import StreamDescriptor
from media.signals.formats.waveform import Waveform
from media.signals.frames import FLAG_DELTA, Frame, encode

_FRAME_VALUES: Final = (
    30_000  # samples of all leads in a frame: below SIGNAL_MAX_FRAME_BYTES, compressed or not
)
_NS_MHZ: Final = 10**12


def frames_of(waveform: Waveform, descriptor: StreamDescriptor, start_ns: int) -> Iterator[Frame]:
    """The waveform's samples as frames of a second or less; no frame goes over a gap.

    :param start_ns: when the first sample was measured, ns Unix.
    """
    longest = max(1, min(int(waveform.sampling_rate_hz), _FRAME_VALUES // len(waveform.leads)))
    sequence = begin = 0
    for piece in waveform.pieces:
        for at in range(0, piece.count, longest):
            count = min(longest, piece.count - at)
            samples = waveform.samples[begin + at : begin + at + count]
            time_ns = start_ns + (piece.offset + at) * _NS_MHZ // descriptor.sampling_rate_mhz
            yield Frame.of(descriptor, sequence, time_ns, samples, FLAG_DELTA)
            sequence += 1
        begin += piece.count


def write_stream(path: Path, waveform: Waveform, descriptor: StreamDescriptor, start_ns: int) -> None:
    """Write ``waveform`` as the file of a stream, all or nothing; it is durable when this returns. Blocks.

    :raises OSError: the disk does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(records.file_header(descriptor))
        for frame in frames_of(waveform, descriptor, start_ns):
            # As if it had come at once: the device's clock is ours.
            end_ns = frame.device_time_ns + round(frame.duration_s * 1e9)
            file.write(records.record(records.KIND_FRAME, end_ns, encode(frame)))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
