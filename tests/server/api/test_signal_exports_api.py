"""Recorded signals as files: who may have them, that they are exact, and that it stands in the trail."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from fhir.resources.R4B import get_fhir_model_class

from media.errors import LocalProtocolError
from media.signals.formats import FORMATS, About, read_file
from server.app import Server
from server.limits import SIGNAL_EXPORTS_AT_ONCE, SIGNAL_EXPORTS_WAITING
from server.signal_files import Wanted
from tests.server.api.test_recordings_api import STREAM, Recorded, record_only, recorded
from tests.server.running import CallerFactory

__all__ = ["recorded"]

SAMPLES = np.repeat(np.arange(120, dtype=np.int16), 50)[:, None].repeat(2, axis=1)


def export_of(recorded: Recorded, kind: str, more: str = "") -> str:
    return f"/recordings/{recorded.recording_id}/signals/{STREAM.stream_id}/export?format={kind}{more}"


@pytest.mark.parametrize("kind", FORMATS)
async def test_a_stream_is_had_in_every_format_sample_for_sample(
    recorded: Recorded, tmp_path: Path, kind: str
) -> None:
    url = f"{recorded.village.url}/api/v1{export_of(recorded, kind)}"
    headers = {"Authorization": f"Bearer {recorded.village.token}"}
    async with recorded.village.http.get(url, headers=headers) as reply:
        body = await reply.read()
        assert (reply.status, reply.content_type) == (200, FORMATS[kind].media_type)
        assert reply.content_length == len(body)
        assert (
            reply.headers["Content-Disposition"] == f'attachment; filename="0c5c6c8e{FORMATS[kind].suffix}"'
        )
        assert reply.headers["Cache-Control"] == "no-store"
    path = tmp_path / "download"
    path.write_bytes(body)
    (found,) = read_file(path)
    assert np.array_equal(found.samples, SAMPLES)
    assert (found.leads, found.sampling_rate_hz, found.gaps) == (STREAM.leads, 500.0, ())


async def test_dicom_names_the_patient_and_fhir_points_to_them(recorded: Recorded) -> None:
    status, body = await recorded.village.call("GET", export_of(recorded, "dicom"))
    assert status == 200
    dataset = pydicom.dcmread(io.BytesIO(body))
    assert (str(dataset.PatientName), dataset.PatientSex) == ("Zhang^Guiying=张桂英", "F")
    status, observation = await recorded.village.call("GET", export_of(recorded, "fhir"))
    assert observation["subject"] == {"reference": "Patient/pat-demo-1"}
    assert "张桂英" not in json.dumps(observation, ensure_ascii=False)


async def test_bounds_cut_the_stream(recorded: Recorded, tmp_path: Path) -> None:
    _, whole = await recorded.village.call("GET", export_of(recorded, "fhir"))
    begin = datetime.fromisoformat(whole["effectivePeriod"]["start"])
    first, behind = (begin + timedelta(seconds=seconds) for seconds in (1.95, 3.05))
    bounds = "&from={}&to={}".format(*(at.isoformat().replace("+00:00", "Z") for at in (first, behind)))
    status, part = await recorded.village.call("GET", export_of(recorded, "fhir", bounds))
    words = part["component"][1]["valueSampledData"]["data"].split()
    assert (status, len(words), words[0], words[-1]) == (200, 600, "19", "30")
    past = "2020-01-01T00:00:00Z"
    status, refused = await recorded.village.call("GET", export_of(recorded, "csv", f"&to={past}"))
    assert (status, refused["code"]) == (404, "signal_export_empty")
    assert refused["message"]["zh"]


async def test_only_who_may_see_the_consult_gets_a_file(recorded: Recorded, caller: CallerFactory) -> None:
    nobody = await caller(None)
    for path in (export_of(recorded, "edf"), f"/fhir/r4/Observation/{STREAM.stream_id}"):
        assert (await nobody.call("GET", path))[0] == 401
    for username in ("village2", "cardio1", "admin", "regulator"):
        person = await caller(username)
        for path in (export_of(recorded, "edf"), f"/fhir/r4/Observation/{STREAM.stream_id}"):
            status, body = await person.call("GET", path)
            assert (status, body["code"]) == (403, "forbidden"), path


async def test_what_cannot_be_given_is_said(recorded: Recorded) -> None:
    unknown = f"/recordings/{recorded.recording_id}/signals/{'0' * 8}-0000-4000-8000-{'0' * 12}/export"
    cases = {
        export_of(recorded, "pdf"): (422, "validation_failed"),
        export_of(recorded, "edf", "&from=yesterday"): (422, "validation_failed"),
        f"{unknown}?format=edf": (404, "not_found"),
        f"/recordings/{recorded.recording_id}/signals/..%2f..%2fetc/export?format=edf": (
            400,
            "signal_malformed",
        ),
        f"/recordings/rec-none/signals/{STREAM.stream_id}/export?format=edf": (404, "not_found"),
        "/fhir/r4/Observation/none": (404, "not_found"),
    }
    for path, expected in cases.items():
        status, body = await recorded.village.call("GET", path)
        assert (status, body["code"]) == expected, path


async def test_an_observation_is_read_by_its_id_whole_or_by_the_second(recorded: Recorded) -> None:
    whole = f"/fhir/r4/Observation/{STREAM.stream_id}"
    status, body = await recorded.village.call("GET", whole)
    assert (status, body["resourceType"], body["id"]) == (200, "Observation", STREAM.stream_id)
    assert len(body["component"][0]["valueSampledData"]["data"].split()) == 6000
    status, body = await recorded.village.call("GET", f"{whole}.2-4")
    assert (status, body["id"]) == (200, f"{STREAM.stream_id}.2-4")
    words = body["component"][0]["valueSampledData"]["data"].split()
    assert 1000 <= len(words) <= 1050
    assert (words[60], words[-60]) == ("21", "38")


async def test_only_what_was_recorded_with_consent_goes_out(recorded: Recorded, server: Server) -> None:
    await record_only(server, recorded, 2.05, 3.05)
    for path in (export_of(recorded, "fhir"), f"/fhir/r4/Observation/{STREAM.stream_id}"):
        status, body = await recorded.village.call("GET", path)
        words = body["component"][0]["valueSampledData"]["data"].split()
        assert (status, len(words), words[0], words[-1]) == (200, 450, "21", "29"), path
    asked = "&from=2020-01-01T00:00:00Z"
    status, body = await recorded.village.call("GET", export_of(recorded, "fhir", asked))
    assert len(body["component"][0]["valueSampledData"]["data"].split()) == 450
    await record_only(server, recorded, 20, 30)
    for path in (export_of(recorded, "csv"), f"/fhir/r4/Observation/{STREAM.stream_id}"):
        status, body = await recorded.village.call("GET", path)
        assert (status, body["code"]) == (404, "signal_export_empty"), path


async def test_observations_are_found_by_their_consult(recorded: Recorded, caller: CallerFactory) -> None:
    search = f"/fhir/r4/Observation?encounter=Encounter/{recorded.consultation_id}"
    status, bundle = await recorded.village.call("GET", search)
    assert (status, bundle["type"], bundle["total"]) == (200, "searchset", 1)
    (entry,) = bundle["entry"]
    resource = entry["resource"]
    assert [one["code"]["text"] for one in resource["component"]] == ["I", "II"]
    assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"
    checked: Any = get_fhir_model_class("Bundle").model_validate(bundle)
    assert checked.entry[0].resource.id == STREAM.stream_id
    path = entry["fullUrl"].partition("/fhir")[2]
    assert (await recorded.village.call("GET", f"/fhir{path}"))[0] == 200
    for more, total in {
        "&code=11524-6": 1,
        "&code=http://loinc.org|11524-6": 1,
        "&code=8867-4": 0,
        "&patient=pat-demo-1": 1,
        "&patient=Patient/pat-demo-2": 0,
    }.items():
        assert (await recorded.village.call("GET", search + more))[1]["total"] == total, more
    assert (await recorded.village.call("GET", "/fhir/r4/Observation"))[0] == 422
    assert (await (await caller("village2")).call("GET", search))[0] == 403


async def test_an_export_stands_in_the_trail(recorded: Recorded, caller: CallerFactory) -> None:
    await recorded.village.call("GET", export_of(recorded, "edf"))
    page = await (await caller("regulator")).get(f"/audit?consultationId={recorded.consultation_id}")
    (entry,) = [entry for entry in page["items"] if entry["action"] == "signal.export"]
    assert (entry["subjectId"], entry["detail"]["format"]) == (STREAM.stream_id, "edf")


async def test_exports_wait_for_their_turn_and_the_line_has_an_end(
    recorded: Recorded, server: Server
) -> None:
    files = server.services.signal_files
    wanted = Wanted(f"c-{recorded.consultation_id}", STREAM.stream_id, "edf")
    for _ in range(SIGNAL_EXPORTS_AT_ONCE):
        await files._turn.acquire()
    waiting = [
        asyncio.ensure_future(files.make(wanted, About(STREAM.stream_id)))
        for _ in range(SIGNAL_EXPORTS_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError, match="busy"):
        await files.make(wanted, About(STREAM.stream_id))
    for _ in range(SIGNAL_EXPORTS_AT_ONCE):
        files._turn.release()
    for file in await asyncio.gather(*waiting):
        file.close()


async def test_a_full_disk_is_told_and_leaves_nothing_behind(
    recorded: Recorded, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    status, body = await recorded.village.call("GET", export_of(recorded, "edf"))
    assert (status, body["code"]) == (507, "store_full")
