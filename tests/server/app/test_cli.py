"""The command line beside a server's data: accounts, tokens, verification, export."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sqlite3
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from sqlalchemy import delete
from typer.testing import CliRunner, Result

from media.clock import SystemClock
from media.signals import Frame, Lead, SignalStore, StreamDescriptor
from media.signals.formats import read_file, sample_record
from server.app import Server
from server.archive.models import RecordingRow
from server.auth.service import AuthService
from server.cli import app, main
from server.config import sample_toml
from server.demo import seed
from server.keys import Keys
from server.loop import run
from server.times import iso_from_unix
from signaling.access import verify_room_token
from tests.server.contract import Contract
from tests.server.running import Caller, config_in

PASSWORD = "long-enough-1"


@pytest.fixture
def county(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a demo county whose server is not running."""
    for name, value in (("TIME_COST", 1), ("MEMORY_KIB", 8), ("PARALLELISM", 1)):
        monkeypatch.setenv(f"HUIZHEN_AUTH_ARGON2_{name}", str(value))
    run(start_seed_stop(tmp_path / "data"))
    return tmp_path / "data"


async def start_seed_stop(data: Path) -> None:
    server = await Server.start(config_in(data), SystemClock())
    await seed(server.services)
    await server.stop()


def huizhen(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


async def sign_in(data: Path, username: str, password: str) -> str:
    server = await Server.start(config_in(data), SystemClock())
    try:
        auth: AuthService = server.services.auth
        signed_in = await auth.login(username, password, "", server.services.clock.wall())
        return signed_in.practitioner_id
    finally:
        await server.stop()


def test_an_account_that_was_made_can_sign_in(county: Path) -> None:
    options = ("--organization", "org-liuwan", "--name", "方芳", "--role", "village_doctor")
    made = huizhen("admin", "create-account", "fang", *options, "--password", PASSWORD, "--data", str(county))
    assert made.exit_code == 0, made.output
    assert run(sign_in(county, "fang", PASSWORD)) == made.stdout.strip()
    again = huizhen(
        "admin", "create-account", "fang", *options, "--password", PASSWORD, "--data", str(county)
    )
    assert again.exit_code == 1


def test_a_reset_password_is_the_one_that_counts(county: Path) -> None:
    done = huizhen("admin", "reset-password", "village", "--password", PASSWORD, "--data", str(county))
    assert done.exit_code == 0, done.output
    assert run(sign_in(county, "village", PASSWORD)) == "prc-village"


def test_a_device_gets_a_new_token_and_its_old_one_ends(county: Path) -> None:
    made = huizhen("token", "device", "dev-ecg-1", "--data", str(county))
    token = made.stdout.strip()

    async def whose(presented: str) -> str:
        server = await Server.start(config_in(county), SystemClock())
        try:
            return await server.services.auth.user_id(presented, server.services.clock.wall())
        finally:
            await server.stop()

    assert run(whose(token)) == "dev-ecg-1"
    with pytest.raises(Exception, match="token_invalid"):
        run(whose("hzd_demo-ecg-1"))


def test_room_and_guest_tokens_are_the_server_s_own(county: Path) -> None:
    secret = Keys.load_or_create(county).room_secret
    made = huizhen("token", "room", "--room", "c-con-1", "--role", "chair", "--data", str(county))
    claims = verify_room_token([secret], made.stdout.strip(), SystemClock().wall())
    assert (claims.room_id, claims.role, claims.grant.chair) == ("c-con-1", "chair", True)
    guest = huizhen("token", "guest", "--room", "c-con-1", "--data", str(county))
    grant = verify_room_token([secret], guest.stdout.strip(), SystemClock().wall()).grant
    assert (grant.chair, grant.record, "screen" in grant.publish) == (False, False, False)


def test_a_changed_byte_of_the_trail_is_found(county: Path) -> None:
    huizhen("admin", "reset-password", "village", "--password", PASSWORD, "--data", str(county))
    whole = huizhen("verify", "audit", "--data", str(county))
    assert (whole.exit_code, "whole" in whole.stdout) == (0, True)
    with sqlite3.connect(county / "huizhen.db") as raw:
        raw.execute("DROP TRIGGER audit_entries_refuse_UPDATE")
        raw.execute("UPDATE audit_entries SET at = at + 1 WHERE sequence = 1")
    raw.close()
    changed = huizhen("verify", "audit", "--data", str(county))
    assert (changed.exit_code, "entry 1" in changed.stdout) == (1, True)


def test_an_opinion_that_is_not_there_cannot_be_verified(county: Path) -> None:
    assert huizhen("verify", "opinion", "con-none", "--data", str(county)).exit_code == 1


def test_a_consult_is_exported_whole(county: Path, tmp_path: Path) -> None:
    consultation = run(make_consultation(county))
    target = tmp_path / "out.zip"
    done = huizhen("export", consultation["id"], str(target), "--data", str(county))
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(target) as archive:
        exported = json.loads(archive.read("consultation.json"))
        trail = json.loads(archive.read("audit.json"))
        assert json.loads(archive.read("materials.json")) == []
    assert exported["patient"]["name"] == "张桂英"
    assert exported["allowed"] == []
    assert "consultation.create" in {entry["action"] for entry in trail}
    assert huizhen("export", "con-none", str(target), "--data", str(county)).exit_code == 1


def test_its_signals_are_added_in_the_formats_asked_for(county: Path, tmp_path: Path) -> None:
    consultation = run(make_consultation(county))
    run(store_signal(county, consultation["roomId"]))
    target = tmp_path / "out.zip"
    formats = ("--signals", "dicom", "--signals", "csv")
    done = huizhen("export", consultation["id"], str(target), "--data", str(county), *formats)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(target) as archive:
        archive.extractall(tmp_path)
    for suffix in (".dcm", ".csv"):
        (path,) = (tmp_path / "signals").glob(f"*{suffix}")
        assert read_file(path)[0].samples.tolist() == [[7], [8], [9]]


def test_what_was_laid_beside_it_is_exported_byte_for_byte(county: Path, tmp_path: Path) -> None:
    consultation = run(make_consultation(county))
    data = sample_record().read_bytes()
    run(lay_beside(county, consultation["id"], data))
    target = tmp_path / "out.zip"
    done = huizhen("export", consultation["id"], str(target), "--data", str(county))
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(target) as archive:
        [material] = json.loads(archive.read("materials.json"))
        assert (material["name"], material["by"]) == ("心电图.dcm", "prc-village")
        assert archive.read(material["file"]) == data
    assert material["sha256"] == hashlib.sha256(data).hexdigest()


def test_what_nobody_agreed_to_record_can_be_left_out(county: Path, tmp_path: Path) -> None:
    """The record is whole unless it is asked to be cut to what was recorded; either way it is said."""
    consultation = run(make_consultation(county))
    begin = run(store_signal(county, consultation["roomId"], frames=4))
    run(record(county, consultation, begin + 0.5, begin + 2.5))
    target = tmp_path / "out.zip"

    def exported(*more: str) -> tuple[list[str], list[list[str]]]:
        arguments = ("export", consultation["id"], str(target), "--data", str(county), *more)
        done = huizhen(*arguments, "--signals", "csv")
        assert done.exit_code == 0, done.output
        with zipfile.ZipFile(target) as archive:
            [told] = json.loads(archive.read("signals.json"))
            archive.extractall(tmp_path / "out")
            return archive.namelist(), told["recorded"]

    def samples(names: list[str]) -> int:
        [path] = [tmp_path / "out" / name for name in names if name.endswith(".csv")]
        return len(read_file(path)[0].samples)

    names, recorded = exported()
    assert samples(names) == 12
    assert recorded == [[iso_from_unix(begin + 0.5), iso_from_unix(begin + 2.5)]]
    assert any(name.endswith(".hzs") for name in names)
    names, _ = exported("--recorded-only")
    assert samples(names) == 6
    assert not any(name.endswith(".hzs") for name in names)
    run(record(county, consultation, begin + 20, begin + 30))
    names, recorded = exported("--recorded-only")
    assert not any(name.startswith("signals/") for name in names)
    assert recorded == []


async def record(data: Path, consultation: Any, start: float, end: float) -> None:
    """As if the one recording had run then; its files are elsewhere."""
    server = await Server.start(config_in(data), SystemClock())
    row = RecordingRow(id=f"rec-{start}", room_id=consultation["roomId"], consultation_id=consultation["id"])
    row.started_at, row.ended_at, row.manifest_path = start, end, ""
    async with server.services.database.write() as session:
        await session.execute(delete(RecordingRow))
        session.add(row)
    await server.stop()


async def lay_beside(data: Path, consultation_id: str, content: bytes) -> None:
    server = await Server.start(config_in(data), SystemClock())
    async with aiohttp.ClientSession() as http:
        village = await Caller(http, server.url, Contract(server.services.openapi)).login("village")
        url = f"{server.url}/api/v1/consultations/{consultation_id}/materials"
        headers, name = {"Authorization": f"Bearer {village.token}"}, {"name": "心电图.dcm"}
        async with http.post(url, params=name, data=io.BytesIO(content), headers=headers) as reply:
            assert reply.status == 201, await reply.text()
    await server.stop()


async def store_signal(data: Path, room_id: str, frames: int = 1) -> float:
    """Three samples at the begin of each second; when the first was measured, Unix seconds."""
    store = SignalStore(config_in(data).signals_directory, SystemClock())
    stream = StreamDescriptor(str(uuid.uuid4()), "ecg", "ECG", 500.0, (Lead("II"),))
    log = await store.open(room_id, stream)
    for number in range(frames):
        samples = np.array([[7], [8], [9]], np.int16)
        await log.append(Frame.of(stream, number, 10**18 + number * 10**9, samples))
    await log.close()
    (stored,) = store.streams(room_id)
    await store.close()
    return stored.start


async def make_consultation(data: Path) -> Any:
    server = await Server.start(config_in(data), SystemClock())
    async with aiohttp.ClientSession() as http:
        village = await Caller(http, server.url, Contract(server.services.openapi)).login("village")
        draft = {"kind": "urgent", "specialty": "cardiology", "patientId": "pat-demo-1", "submit": False}
        _, consultation = await village.call("POST", "/consultations", draft)
    await server.stop()
    return consultation


def test_a_server_can_be_set_up_without_the_demo(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "new"))

    def made(*arguments: str) -> str:
        result = huizhen("admin", *arguments, *data)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    hospital = made("create-organization", "县医院", "--level", "county")
    clinic = made("create-organization", "卫生室", "--level", "village", "--parent", hospital)
    expert = ("--organization", hospital, "--name", "王", "--role", "expert", "--specialty", "cardiology")
    expert_id = made("create-account", "wang", *expert, "--password", PASSWORD)
    device_id, token = made("create-device", "心电图机", "--organization", clinic, "--kind", "ecg").split()
    made("create-rota", "cardiology", "--organization", hospital, "--member", expert_id)

    async def looked_at() -> tuple[str, Any]:
        server = await Server.start(config_in(tmp_path / "new"), SystemClock())
        async with aiohttp.ClientSession() as http:
            wang = Caller(http, server.url, Contract(server.services.openapi))
            await wang.login("wang", PASSWORD)
            on_call = await wang.get("/schedules/on-call?specialty=cardiology")
        device = await server.services.auth.user_id(token, server.services.clock.wall())
        await server.stop()
        return device, on_call

    device, on_call = run(looked_at())
    assert device == device_id
    assert [person["id"] for person in on_call[0]["practitioners"]] == [expert_id]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create-organization", "x", "--level", "village", "--parent", "org-none"),
        ("create-device", "x", "--organization", "org-none", "--kind", "ecg"),
        ("create-rota", "cardiology", "--organization", "org-none", "--member", "prc-village"),
        ("create-rota", "astrology", "--organization", "org-shiqiao", "--member", "prc-village"),
        ("reset-password", "nobody", "--password", PASSWORD),
    ],
)
def test_what_is_not_there_is_named_instead_of_made_up(county: Path, arguments: tuple[str, ...]) -> None:
    result = huizhen("admin", *arguments, "--data", str(county))
    assert result.exit_code == 1
    assert "not_found" in str(result.exception)


def test_a_port_that_is_taken_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        wanted = ["--data", str(tmp_path), "--port", "0", "--media-port", str(taken), "--no-devices"]
        monkeypatch.setattr(sys, "argv", ["huizhen", "demo", *wanted])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"(port_taken) [http] 127.0.0.1 0 0, [media] 127.0.0.1 {taken} -1" in said


def test_the_sample_configuration_is_printed() -> None:
    assert huizhen("config").stdout == sample_toml()


def test_every_command_is_found_and_explains_itself() -> None:
    listed = huizhen("--help").output
    for command in ("serve", "demo", "check", "config", "export", "device", "token", "admin", "verify"):
        assert command in listed
        assert huizhen(command, "--help").exit_code == 0
    assert huizhen("nothing-of-the-kind").exit_code == 2


def test_a_gateway_loads_nothing_of_the_server() -> None:
    """Its computer is small, and the server's parts are more than half of what would be loaded."""
    code = (
        "import sys; from typer.testing import CliRunner; from server.cli import app; "
        "assert CliRunner().invoke(app, ['device', 'ecg', '--help']).exit_code == 0; "
        "print([name for name in ('server.app', 'sqlalchemy', 'alembic') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_file_of_people_is_checked_written_and_exported(county: Path, tmp_path: Path) -> None:
    places, out = tmp_path / "places.csv", tmp_path / "out.csv"
    places.write_bytes(
        "机构代码,机构名称,级别\r\nHOSP-2,邻县医院,县\r\nHOSP-3,邻县二院,省城\r\n".encode("gb18030")
    )
    arguments = ("admin", "import", "organizations", str(places), "--data", str(county))
    checked = huizhen(*arguments)
    assert checked.exit_code == 1
    assert "1 有误 bad; 未写入" in checked.output
    written = huizhen(*arguments, "--good-lines")
    assert "1 新增 new" in written.output
    assert "已写入 written" in written.output
    done = huizhen("admin", "export-csv", "organizations", str(out), "--data", str(county))
    assert done.exit_code == 0, done.output
    assert "HOSP-2,邻县医院,邻县医院,县,," in out.read_text("utf-8-sig")
