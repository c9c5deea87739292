"""Signal files among the materials: what is in them, and their samples as streams of the signal store."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from media.errors import RemoteProtocolError
from media.signals import StoredStream, StreamDescriptor
from media.signals.commit import store_fault
from media.signals.errors import SIGNAL_FILE_UNKNOWN, SIGNAL_UNSUPPORTED
from media.signals.formats import Waveform, read_file
from media.signals.store import SignalStore
from server.consults.errors import NO_KNOWN_MATERIAL, ActionRefused

DICOM: Final = "application/dicom"
EDF, WFDB, CSV, FHIR = "application/edf", "application/zip", "text/csv", "application/fhir+json"
AECG = "application/xml"
SIGNAL_TYPES: Final = (EDF, WFDB, CSV, FHIR, AECG)
_TYPE_OF_HEAD: Final = ((b"PK", WFDB), (b"{", FHIR), (b"#", CSV), (b"<", AECG), (b"\xef\xbb", AECG))


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is, and the signals in it; pictures and documents have none."""

    media_type: str
    waveforms: tuple[Waveform, ...] = ()


class MaterialSignals:
    """Reads signal files one at a time: one of 20 MB may unpack to 128 MB of samples.

    :param directory: on whose disk a file is laid while it is read.
    """

    def __init__(self, store: SignalStore, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._turn = asyncio.Lock()

    async def look(self, media_type: str | None, data: bytes) -> Look:
        """What the bytes hold.

        :param media_type: `DICOM`, which may hold pictures alone, or None for what is no picture or document.
        :raises ActionRefused: no_known_material.
        :raises RemoteProtocolError: it is a signal file, and cannot be read; as `read_file`.
        """
        async with self._turn:
            try:
                waveforms = await asyncio.to_thread(self._read, data)
            except RemoteProtocolError as fault:
                if media_type == DICOM and fault.code is SIGNAL_UNSUPPORTED:
                    return Look(DICOM)
                if fault.code is SIGNAL_FILE_UNKNOWN:
                    raise ActionRefused(NO_KNOWN_MATERIAL) from fault
                raise
        for waveform in waveforms:
            _checked(waveform)
        head = data.lstrip()[:2]
        known = next((kind for start, kind in _TYPE_OF_HEAD if head.startswith(start)), EDF)
        return Look(media_type or known, waveforms)

    def _read(self, data: bytes) -> tuple[Waveform, ...]:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._directory, prefix=".look-") as alone:
                path = Path(alone) / "file"
                path.write_bytes(data)
                return read_file(path)
        except OSError as problem:
            raise store_fault(problem) from problem

    async def keep(self, material_id: str, look: Look, now: float) -> None:
        """Store the signals as streams of the material; one that says no time began ``now``.

        :raises LocalProtocolError: ``store_full``, ``store_failed``.
        """
        for waveform in look.waveforms:
            start_ns = round(now * 1e9) if waveform.start_ns is None else waveform.start_ns
            owner, descriptor = _owner(material_id), _checked(waveform)
            await asyncio.to_thread(self._store.keep, owner, descriptor, waveform, start_ns)

    async def discard(self, material_id: str) -> None:
        """Take back what `keep` stored. Idempotent."""
        await asyncio.to_thread(self._store.discard, _owner(material_id))

    async def streams(self, material_id: str) -> list[StoredStream]:
        """The material's signals, the ECG first."""
        found = await asyncio.to_thread(self._store.streams, _owner(material_id))
        return sorted(found, key=lambda stream: stream.descriptor.kind != "ecg")

    async def part(self, who: str, material_id: str, stream_id: str, start: float, end: float) -> bytes:
        """As `media.signals.past.Past.part`."""
        return await self._store.past.part(who, _owner(material_id), stream_id, start, end)

    async def overview(
        self, who: str, material_id: str, stream_id: str, start: float, end: float, lead: int
    ) -> bytes:
        """As `media.signals.past.Past.overview`."""
        return await self._store.past.overview(who, _owner(material_id), stream_id, start, end, lead)


def _owner(material_id: str) -> str:
    return f"m-{material_id}"


def _checked(waveform: Waveform) -> StreamDescriptor:
    """The stream that carries it, under the bounds of every stream.

    :raises RemoteProtocolError: ``signal_malformed``, ``signal_too_large``.
    """
    made = waveform.descriptor(str(uuid.uuid4()), waveform.label)
    return replace(StreamDescriptor.from_json(made.as_json()), leads=made.leads)
