"""Materials of a consult: pictures, PDFs, voice notes, DICOM objects and ECG files laid beside it.

What a file is stands in its bytes, not in its name: each kind is opened as far as it takes to know that it is
one. The bytes lie in the data directory under the material's id, the name in the database; what a signal file
holds is stored as streams as well (`material_signals`), and is looked at as any recorded one.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import warnings
from pathlib import Path

import pydicom
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import NOT_FOUND, Fault, RemoteProtocolError
from media.signals import StoredStream
from server.archive.ids import new_id
from server.auth.actor import Actor
from server.config import Config
from server.consults.errors import NO_PICTURES, TOO_MANY_MATERIALS, ActionRefused
from server.consults.held_uploads import HeldUploads
from server.consults.limits import MATERIAL_PIXELS, MATERIALS_PER_CONSULT
from server.consults.material_pictures import BROKEN, MaterialPictures
from server.consults.material_signals import AECG, CSV, DICOM, EDF, FHIR, WFDB, Look, MaterialSignals
from server.consults.models import Material
from server.consults.vocabulary import Action, Data
from server.consults.voice import VOICE_TYPES, voice_type_of
from server.consults.work import Work
from signaling.personal import Personal

JPEG, PNG, PDF = "image/jpeg", "image/png", "application/pdf"
_PICTURES = {"JPEG": JPEG, "PNG": PNG}
_SUFFIX = {JPEG: "jpg", PNG: "png", PDF: "pdf", DICOM: "dcm", **VOICE_TYPES}
_SUFFIX |= {EDF: "edf", WFDB: "zip", CSV: "csv", FHIR: "json", AECG: "xml"}
_PDF_TAIL = 2048
"""A PDF's end mark stands in its last bytes (ISO 32000-1 annex H: readers look at the last 1024)."""


def suffix_of(media_type: str) -> str:
    """What the name of such a file ends with."""
    return _SUFFIX[media_type]


def materials_directory(config: Config) -> Path:
    """Where the bytes lie, each file under its material's id."""
    return config.data_directory / "materials"


def media_type_of(data: bytes) -> str | None:
    """What the bytes are; None when they are nothing that may be laid beside a consult.

    :raises ActionRefused: voice_note_too_long.
    """
    if data.startswith(b"%PDF-") and b"%%EOF" in data[-_PDF_TAIL:]:
        return PDF
    if data[128:132] == b"DICM":
        return DICOM if _is_dicom(data) else None
    return voice_type_of(data) or _picture_type(data)


def _is_dicom(data: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
            return bool(dataset.SOPClassUID)
    except BROKEN:
        return False


def _picture_type(data: bytes) -> str | None:
    """A picture that can be decoded to its end, and is no bomb."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=list(_PICTURES)) as picture,
        ):
            if picture.width * picture.height > MATERIAL_PIXELS:
                return None
            picture.load()
            return _PICTURES.get(picture.format or "")
    except BROKEN:
        return None


class Materials:
    """Adds and hands out materials.

    :param directory: where the bytes lie.
    """

    def __init__(self, work: Work, directory: Path) -> None:
        self._work = work
        self._directory = directory
        self._held = HeldUploads(directory)
        self.pictures = MaterialPictures()
        self.signals = MaterialSignals(work.services.signals, directory)

    async def check(self, actor: Actor, consultation_id: str, data: bytes, now: float) -> tuple[Look, str]:
        """What `add` would keep, and the token by which `add_held` keeps it.

        :raises ActionRefused: no_known_material, voice_note_too_long, forbidden, not_found.
        :raises RemoteProtocolError: a signal file that cannot be read, as `read_file`.
        """
        async with self._work.services.database.read() as session:
            await self._work.admit(session, actor, consultation_id)
        look = await self._look(data)
        return look, await self._held.hold(actor.id, consultation_id, data, now)

    async def add_held(
        self, actor: Actor, consultation_id: str, name: str, upload: str, now: float
    ) -> Material:
        """Keep the file that `check` looked at.

        :raises ActionRefused: upload_gone, and as `add`, after which the file is still held.
        """
        data = await self._held.read(upload, actor.id, consultation_id, now)
        material = await self.add(actor, consultation_id, name, data, now)
        self._held.drop(upload)
        return material

    def close(self) -> None:
        """Forget what is held. Twice is harmless."""
        self._held.close()

    async def _look(self, data: bytes) -> Look:
        media_type = await asyncio.to_thread(media_type_of, data)
        if media_type is None or media_type == DICOM:
            return await self.signals.look(media_type, data)
        return Look(media_type)

    async def add(self, actor: Actor, consultation_id: str, name: str, data: bytes, now: float) -> Material:
        """Keep one file beside the consult; everyone concerned is told.

        :raises ActionRefused: no_known_material, voice_note_too_long, too_many_materials, forbidden,
            wrong_state, not_found.
        :raises RemoteProtocolError: a signal file that cannot be read, as `read_file`.
        """
        look = await self._look(data)
        material = Material(
            id=new_id("mat"),
            consultation_id=consultation_id,
            name=Personal(name),
            media_type=look.media_type,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            added_by=actor.id,
            added_at=now,
        )
        path = self._path(material.id)
        try:
            async with (
                self._work.noting_refusals(actor, consultation_id, "attach"),
                self._work.transaction(now) as tx,
            ):
                admitted = await self._work.admit(tx.session, actor, consultation_id)
                await _check_bound(tx.session, consultation_id)
                given = Data(actor_id=actor.id)
                await self._work.steps.take(tx, admitted.row, Action.ATTACH, actor, admitted.roles, given)
                tx.session.add(material)
                await tx.session.flush()
                await asyncio.to_thread(_write, path, data)
                await self.signals.keep(material.id, look, now)
        except Fault:
            path.unlink(missing_ok=True)
            if look.waveforms:
                await self.signals.discard(material.id)
            raise
        return material

    async def streams(self, actor: Actor, consultation_id: str, material_id: str) -> list[StoredStream]:
        """The signals of a material, none for what holds none; the look stands in the audit trail.

        :raises ActionRefused: not_found, forbidden.
        """
        await self.read(actor, consultation_id, material_id)
        return await self.signals.streams(material_id)

    async def clip(self, actor: Actor, consultation_id: str, material_id: str) -> bytes:
        """What a DICOM object shows, as `Clip.packed`; the look stands in the audit trail.

        :raises ActionRefused: not_found, forbidden, no_pictures, pictures_too_large.
        """
        material, path = await self.read(actor, consultation_id, material_id)
        if material.media_type != DICOM:
            raise ActionRefused(NO_PICTURES)
        return await self.pictures.packed(path)

    async def listed(self, session: AsyncSession, actor: Actor, consultation_id: str) -> list[Material]:
        """In the order in which they came. Raises ActionRefused: not_found, forbidden."""
        await self._work.admit(session, actor, consultation_id)
        query = select(Material).where(Material.consultation_id == consultation_id)
        return list(await session.scalars(query.order_by(Material.added_at, Material.id)))

    async def read(self, actor: Actor, consultation_id: str, material_id: str) -> tuple[Material, Path]:
        """One material and where its bytes lie; the look stands in the audit trail.

        :raises ActionRefused: not_found, forbidden.
        """
        async with self._work.services.database.write() as session:
            await self._work.admit(session, actor, consultation_id)
            material = await session.get(Material, material_id)
            if material is None or material.consultation_id != consultation_id:
                raise RemoteProtocolError(NOT_FOUND, "material")
            await self._work.services.audit.record(
                session,
                actor,
                "material.view",
                "material",
                material_id,
                {"consultationId": consultation_id},
            )
        return material, self._path(material_id)

    def _path(self, material_id: str) -> Path:
        return self._directory / material_id


async def _check_bound(session: AsyncSession, consultation_id: str) -> None:
    count = select(func.count()).where(Material.consultation_id == consultation_id)
    if (await session.scalar(count) or 0) >= MATERIALS_PER_CONSULT:
        raise ActionRefused(TOO_MANY_MATERIALS)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
