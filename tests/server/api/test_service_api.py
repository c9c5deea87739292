"""The edges of HTTP: health, figures, description, bad input, the web client's files and headers."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.api.problem import problem_middleware
from server.app import Server
from server.limits import MAX_BODY_BYTES
from server.web_client import add_web_client, content_security_policy
from tests.server.running import CallerFactory


async def test_alive_and_ready(caller: CallerFactory, server: Server) -> None:
    someone = await caller(None)
    assert await someone.get("/healthz") == {"status": "ok"}
    assert await someone.get("/readyz") == {
        "status": "ok",
        "mediaPort": server.services.media_socket.port,
        "mediaPlane": server.services.media_socket.plane,
        "mediaBuild": server.services.media_socket.build,
        "signalStore": "ok",
        "nodes": "alone",
    }


async def test_without_a_database_or_timers_it_is_not_ready(server: Server, caller: CallerFactory) -> None:
    someone = await caller(None)
    # Nobody may be reading while the database is taken away: their connection would be left behind.
    await server.services.rota_watch.stop()
    await server.services.dispatcher.stop()
    await server.services.database.close()
    database = server.services.config.data_directory / "huizhen.db"
    database.rename(database.with_suffix(".away"))
    database.mkdir()
    status, body = await someone.call("GET", "/readyz")
    assert (status, body["code"], body["detail"]) == (503, "not_ready", "database")
    database.rmdir()
    database.with_suffix(".away").rename(database)
    status, body = await someone.call("GET", "/readyz")
    assert (status, body["code"], body["detail"]) == (503, "not_ready", "dispatcher")
    await server.services.dispatcher.start()
    assert (await someone.get("/readyz"))["status"] == "ok"


async def test_figures_count_routes_and_name_nobody(caller: CallerFactory) -> None:
    someone = await caller("village")
    await someone.get("/patients/pat-demo-1")
    status, raw = await someone.call("GET", "/metrics")
    text = raw.decode()
    assert status == 200
    assert 'route="/api/v1/patients/{patient_id}",status="200"' in text
    assert "pat-demo-1" not in text


async def test_the_description_lists_every_operation(caller: CallerFactory) -> None:
    document = await (await caller(None)).get("/api/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/api/v1/patients"]["post"]["requestBody"]["required"] is True
    assert document["paths"]["/api/v1/auth/login"]["post"].get("security") is None
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"username": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_json(caller: CallerFactory, body: bytes) -> None:
    someone = await caller(None)
    async with someone.http.post(f"{someone.url}/api/v1/auth/login", data=body) as reply:
        assert (reply.status, reply.content_type) == (400, "application/problem+json")
        assert (await reply.json())["code"] == "malformed"


async def test_a_body_that_is_too_large(caller: CallerFactory) -> None:
    someone = await caller(None)
    async with someone.http.post(
        f"{someone.url}/api/v1/auth/login", data=b"x" * (MAX_BODY_BYTES + 1)
    ) as reply:
        assert (reply.status, (await reply.json())["code"]) == (413, "too_large")


async def test_a_wrong_field_is_named_and_its_value_is_not_repeated(caller: CallerFactory) -> None:
    status, body = await (await caller(None)).call(
        "POST", "/auth/login", {"username": "", "password": {"secret": "hunter2"}}
    )
    assert (status, body["code"]) == (422, "validation_failed")
    assert {error["field"] for error in body["errors"]} == {"username", "password"}
    assert "hunter2" not in str(body)


async def test_what_is_not_there_and_what_is_not_done_there(caller: CallerFactory) -> None:
    someone = await caller(None)
    status, body = await someone.call("GET", "/api/v1/nothing")
    assert (status, body["code"]) == (404, "not_found")
    status, body = await someone.call("PUT", "/auth/login", {})
    assert (status, body["code"]) == (405, "method_not_allowed")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>hz</title>")
    (root / "assets" / "app-Ab3dEf9h.js").write_text("let a = 1")
    (root / "assets" / "app-Ab3dEf9h.js.br").write_bytes(b"compressed")
    (tmp_path / "secret.key").write_text("not yours")
    return root


async def test_what_nobody_expected_is_told_as_our_fault_and_stands_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("inside")

    app = web.Application(middlewares=[problem_middleware])
    app.router.add_get("/patients/{id}", broken)
    async with TestClient(TestServer(app)) as client:
        reply = await client.get("/patients/li-xiulan")
        body = await reply.json(content_type="application/problem+json")
    assert (reply.status, body["code"], body["message"]["zh"]) == (500, "internal", "服务器内部错误。")
    assert "inside" not in json.dumps(body)
    assert "GET /patients/{id} failed" in caplog.text
    assert "RuntimeError: inside" in caplog.text
    assert "li-xiulan" not in caplog.text


async def test_half_a_reply_is_not_followed_by_another(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        raise RuntimeError("inside")

    app = web.Application(middlewares=[problem_middleware])
    app.router.add_get("/", broken)
    async with TestClient(TestServer(app)) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await (await client.get("/")).read()
    assert "GET / failed" in caplog.text


async def test_the_web_client_is_served_with_its_headers(built: Path) -> None:
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, built)
    async with TestClient(TestServer(app)) as client:
        for path in ("/", "/login", "/c/con-1", "/g/secret"):
            page = await client.get(path)
            assert (page.status, page.content_type) == (200, "text/html")
            assert page.headers["Cache-Control"] == "no-cache"
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
            assert "camera=(self)" in page.headers["Permissions-Policy"]
            assert page.headers["Referrer-Policy"] == "no-referrer"


async def test_a_page_names_the_clinics_zone_when_it_is_another_than_the_client_s(built: Path) -> None:
    index = built / "index.html"
    index.write_text('<!doctype html><html lang="zh-CN"><script>a()</script><title>hz</title>')
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, built, zone="Asia/Urumqi")
    async with TestClient(TestServer(app)) as client:
        for path in ("/", "/index.html", "/g/secret"):
            page = await client.get(path)
            assert '<html data-zone="Asia/Urumqi" lang="zh-CN">' in await page.text()
            assert (page.content_type, page.headers["Cache-Control"]) == ("text/html", "no-cache")
            assert "'sha256-" in page.headers["Content-Security-Policy"]
        again = await client.get("/", headers={"If-None-Match": page.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, built, zone="Asia/Shanghai")
    async with TestClient(TestServer(app)) as client:
        assert await (await client.get("/")).text() == index.read_text()


async def test_the_policy_lets_the_built_inline_script_run_and_no_other(tmp_path: Path) -> None:
    script = "start('é')\n"
    page = f'<head><script>{script}</script><script type="module" src="/a.js"></script></head>'
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, tmp_path)
    async with TestClient(TestServer(app)) as client:
        policy = (await client.get("/room/con-1")).headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}';" in policy
    assert policy.count("sha256-") == 1
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


async def test_hashed_files_last_and_come_compressed(built: Path) -> None:
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, built)
    async with TestClient(TestServer(app), auto_decompress=False) as client:
        script = await client.get("/assets/app-Ab3dEf9h.js", headers={"Accept-Encoding": "br"})
        assert await script.read() == b"compressed"
        assert script.headers["Content-Encoding"] == "br"
        assert "immutable" in script.headers["Cache-Control"]
        assert script.content_type == "text/javascript"


async def test_no_path_leads_out_of_the_web_client(built: Path) -> None:
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, built)
    async with TestClient(TestServer(app)) as client:
        for path in ("/../secret.key", "/%2e%2e/secret.key", "/assets/../../secret.key", "/..%2fsecret.key"):
            assert "not yours" not in await (await client.get(path)).text()


async def test_without_a_build_it_says_so(tmp_path: Path) -> None:
    app = web.Application(middlewares=[problem_middleware])
    add_web_client(app, tmp_path)
    async with TestClient(TestServer(app)) as client:
        page = await client.get("/")
        assert (page.status, "make setup" in await page.text()) == (503, True)


def test_the_content_policy_names_our_own_sockets_only() -> None:
    assert "connect-src 'self' blob: ws://hz.example:8443 wss://hz.example:8443;" in content_security_policy(
        "hz.example:8443"
    )
    nodes = ("https://b.example", "http://c.example:81")
    assert (
        "wss://hz.example http://c.example:81 ws://c.example:81 https://b.example wss://b.example;"
        in content_security_policy("hz.example", nodes=nodes)
    )
    assert "evil" not in content_security_policy("x; script-src evil")
