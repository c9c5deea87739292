"""What accounts are told of the ways to the server."""

from __future__ import annotations

from tests.server.running import CallerFactory


async def test_signed_in_people_are_told_the_ways_and_others_are_not(caller: CallerFactory) -> None:
    village = await caller("village")
    told = await village.get("/connectivity")
    assert [entry["path"] for entry in told["paths"]] == ["udp", "tcp", "websocket"]
    assert told["iceServers"] == []
    status, _ = await (await caller(None)).call("GET", "/connectivity")
    assert status == 401
