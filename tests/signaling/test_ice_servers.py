"""TURN credentials as coturn checks them, and the ways they are given to clients."""

from __future__ import annotations

from pathlib import Path

from signaling.ice_servers import IceServers, TurnServer, link_headers
from signaling.service import SignalingConfig
from tests.signaling.web import running_web

TURN = TurnServer(("turn:t.example:3478?transport=udp", "turns:t.example:443?transport=tcp"), "north", 3600)


def test_the_password_is_the_hmac_of_the_user_name() -> None:
    # printf %s 1433895918:ninefingers | openssl dgst -sha1 -hmac north -binary | base64
    username, password = TURN.credentials("ninefingers", 1433895918 - 3600)
    assert username == "1433895918:ninefingers"
    assert password == "jy8hTxmOO7UtEKXqSkSlvakPVYA="


def test_the_secret_is_not_shown() -> None:
    assert "north" not in repr(TURN)


def test_fixed_servers_come_first_and_turn_is_fresh_each_time() -> None:
    servers = IceServers(({"urls": "stun:s.example"},), TURN)
    fixed, turn = servers.for_client("p-1", 1000.9)
    assert fixed == {"urls": "stun:s.example"}
    assert turn["urls"] == list(TURN.urls)
    assert turn["username"] == "4600:p-1"
    assert servers.for_client("p-1", 2000.0)[1]["credential"] != turn["credential"]
    assert IceServers().for_client("p-1", 0.0) == []


def test_links_name_every_url() -> None:
    links = link_headers(IceServers(({"urls": "stun:s.example"},), TURN).for_client("p-1", 0.0))
    assert links[0] == '<stun:s.example>; rel="ice-server"'
    assert len(links) == 3
    assert links[2].startswith('<turns:t.example:443?transport=tcp>; rel="ice-server"; username="3600:p-1"; ')
    assert links[2].endswith('; credential-type="password"')


async def test_a_join_is_told_of_turn_with_credentials_of_its_own(tmp_path: Path) -> None:
    async with running_web(tmp_path, SignalingConfig(turn=TURN)) as web:
        client = await web.client({"token": web.signaling.token("a")})
        joined = await client.good("join", {})
        (server,) = joined["iceServers"]
        expires, _, word = server["username"].partition(":")
        assert word == joined["peerId"]
        assert int(expires) == int(web.signaling.clock.wall()) + TURN.ttl_s
        assert server["credential"] == TURN.credentials(word, web.signaling.clock.wall())[1]
