"""Real Chromium asks what its network lets through, over each path alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from media.transport import MediaSocketConfig
from tests.interop.coturn import running_coturn
from tests.interop.server import LOOPBACK, Server, running_server
from tests.interop.test_narrow_networks import PAIRS, narrow_page

pytestmark = pytest.mark.browser

# One test of one path: the echo's round trip in ms, what the server says of it, and the pair in use.
TRY = """
async ({ path, token }) => {
  const headers = { Authorization: `Bearer ${token}` }
  const { iceServers } = await (await fetch('/connectivity', { headers })).json()
  const connection = new RTCPeerConnection(path === 'turn' ? { iceServers, iceTransportPolicy: 'relay' } : {})
  const channel = connection.createDataChannel('echo', { negotiated: true, id: 0 })
  await connection.setLocalDescription()
  const reply = await fetch(`/connectivity/${path}`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/sdp' },
    body: connection.localDescription.sdp,
  })
  if (!reply.ok) return { refused: (await reply.json()).code }
  await connection.setRemoteDescription({ type: 'answer', sdp: await reply.text() })
  await new Promise((done) => (channel.onopen = done))
  const begun = performance.now()
  const echoed = await new Promise((done) => {
    channel.onmessage = ({ data }) => done(data)
    channel.send('会诊')
  })
  const report = await (await fetch(reply.headers.get('Location'))).json()
  return { echoed, roundTripMs: performance.now() - begun, report }
}
"""


async def attempt(page: Page, server: Server, path: str) -> dict[str, Any]:
    await page.goto(f"{server.url}/connectivity", wait_until="domcontentloaded")
    outcome: dict[str, Any] = await page.evaluate(TRY, {"path": path, "token": server.token("a")})
    return outcome


@pytest.mark.parametrize("path", ["udp", "tcp"])
async def test_a_path_of_our_own_is_tried_alone(tmp_path: Path, path: str) -> None:
    async with running_server(tmp_path) as server, narrow_page() as page:
        outcome = await attempt(page, server, path)
        assert outcome["echoed"] == "会诊"
        assert outcome["report"]["state"] == "connected"
        assert outcome["report"]["protocol"] == path
        assert outcome["report"]["echoed"] == 1
        assert outcome["report"]["connectedMs"] >= 0
        (pair,) = await page.evaluate(PAIRS)
        assert pair["remote"] == path


async def test_turn_is_tried_alone(tmp_path: Path) -> None:
    async with (
        running_coturn(tmp_path) as coturn,
        running_server(tmp_path / "server", turn=coturn.turn) as server,
        narrow_page("--ignore-certificate-errors") as page,
    ):
        outcome = await attempt(page, server, "turn")
        assert (outcome["echoed"], outcome["report"]["state"]) == ("会诊", "connected")
        (pair,) = await page.evaluate(PAIRS)
        assert (pair["type"], pair["relay"]) == ("relay", "tls")


async def test_a_path_that_the_server_does_not_have_is_told(tmp_path: Path) -> None:
    no_tcp = MediaSocketConfig("127.0.0.1", 0, LOOPBACK.announced_addresses, tcp_port=0)
    async with running_server(tmp_path, media=no_tcp) as server, narrow_page() as page:
        assert await attempt(page, server, "tcp") == {"refused": "not_found"}
