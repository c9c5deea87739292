"""What lies on the server's disk: watched as it grows, and compared with the source at the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from media.signals import records
from media.signals.export import runs
from media.signals.frames import Frame, Samples, decode, read_header
from media.signals.ledger import StreamLedger


@dataclass
class StoreTail:
    """The one stream file of a room's directory, read on from where the last look ended."""

    directory: Path
    ledger: StreamLedger = field(default_factory=StreamLedger)
    _offset: int = 0

    def look(self) -> None:
        """Read what is new; nothing while there is no file."""
        path = next(iter(self.directory.glob("*.hzs")), None)
        if path is None:
            return
        with path.open("rb") as file:
            if not self._offset:
                records.read_file_header(file)
                self._offset = file.tell()
            for found in records.scan(file, self._offset):
                if found.kind == records.KIND_FRAME:
                    self.ledger.add(read_header(found.body).sequence)
                self._offset = found.end

    @property
    def frames(self) -> int:
        return len(self.ledger)

    def is_whole(self, beyond: int) -> bool:
        """Whether nothing is missing up to a frame beyond the one numbered so."""
        return self.ledger.contiguous == self.ledger.highest > beyond


def compare(directory: Path, source: Samples, last: Samples, measured: int, cuts: int) -> dict[str, int]:
    """Hold what is stored against the source that was looped, and the last record behind it.

    :param last: what the final gateway played once to its end.
    :param measured: frames that the gateways before had on their disk.
    :param cuts: gateways that were ended within a round of the source.
    """
    (path,) = directory.glob("*.hzs")
    with path.open("rb") as file:
        descriptor = records.read_file_header(file)
        found = [one for one in records.scan(file, file.tell()) if one.kind == records.KIND_FRAME]
    frames = [decode(one.body, descriptor) for one in found]
    times = Counter(frame.sequence for frame in frames)
    per_frame = len(frames[0].samples)
    ordered = sorted({frame.sequence: frame for frame in frames}.values(), key=lambda frame: frame.sequence)
    expected = measured + -(-len(last) // per_frame)
    kept, wanted = _digests(ordered, source, last, cuts)
    return {
        "stored_samples": sum(len(frame.samples) for frame in ordered),
        "lost_samples": (expected - len(times)) * per_frame,
        "duplicated_samples": (sum(times.values()) - len(times)) * per_frame,
        "sha256_differs": int(kept != wanted),
    }


def _digests(frames: list[Frame], source: Samples, last: Samples, cuts: int) -> tuple[str, str]:
    """SHA-256 over all samples kept, and over the source's as the seams say it was played.

    Each run between two seams is the source from its begin: whole, but for as many as gateways were ended,
    and the last.
    """
    parts = [run.samples for run in runs(frames)]
    wanted = [source[: len(part)] for part in parts[:-1]] + [last]
    short = sum(len(part) < len(source) for part in parts[:-1])
    if short > cuts:
        return "more seams than there were ends", ""
    return _digest(parts), _digest(wanted)


def _digest(parts: list[Samples]) -> str:
    return hashlib.sha256(np.concatenate(parts).astype("<i2").tobytes()).hexdigest()
