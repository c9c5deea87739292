"""A whole Huizhen client in one file, on pymediasoup: publishes a test picture, counts what it receives.

    pip install pymediasoup "python-socketio[asyncio_client]"
    python client.py https://huizhen.example.org ROOM_TOKEN

Prints a JSON line each second until it is interrupted: decoded frames by peer and source, and the last data
messages. The protocol is in signaling/PROTOCOL.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import socketio
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack
from pymediasoup import AiortcHandler, Device
from pymediasoup.rtp_parameters import RtpCapabilities, RtpParameters
from pymediasoup.sctp_parameters import SctpStreamParameters
from pymediasoup.transport import Transport


def plain(model: Any) -> dict[str, Any]:
    """A pydantic model as the JSON that goes on the wire."""
    return dict(model.model_dump(mode="json", exclude_none=True))


class Client:
    """One participant."""

    def __init__(self) -> None:
        self.frames: Counter[str] = Counter()
        self.messages: list[str] = []
        self.socket = socketio.AsyncClient(reconnection=False)
        self.device = Device(handlerFactory=AiortcHandler.createFactory())
        self.receiver: Transport | None = None
        self.sender: Transport | None = None
        self.tasks: list[asyncio.Task[None]] = []
        # One at a time: each consumer is an SDP round of its own inside the library.
        self.receiving = asyncio.Lock()

    async def ask(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """One request; the reply's data, or an exception with the server's error."""
        answer = await self.socket.call(event, data, namespace="/room", timeout=10)
        if not answer["ok"]:
            raise RuntimeError(f"{event}: {answer['error']['code']} {answer['error']['detail']}")
        return dict(answer["data"])

    async def join(self, url: str, token: str) -> None:
        """Connect, join, make both transports, receive everybody, publish."""
        self.socket.on("newConsumers", self.new_consumers, namespace="/room")
        self.socket.on("newDataConsumers", self.new_data_consumers, namespace="/room")
        await self.socket.connect(url, auth={"token": token}, namespaces=["/room"], transports=["websocket"])
        room = await self.ask("join", {})
        await self.device.load(RtpCapabilities(**room["routerRtpCapabilities"]))
        self.sender = self.transport(room["sendTransport"], self.device.createSendTransport)
        self.receiver = self.transport(room["recvTransport"], self.device.createRecvTransport)
        capabilities = plain(self.device.recvRtpCapabilities)
        there = await self.ask("subscribe", {"rtpCapabilities": capabilities})
        await self.receive(there["consumers"])
        await self.receive_data(there["dataConsumers"])
        await self.publish(VideoStreamTrack(), "camera")
        await self.publish(AudioStreamTrack(), "microphone")
        await self.greet()

    def transport(self, options: dict[str, Any], create: Any) -> Transport:
        """A pymediasoup transport bound to the server's transport of this id."""
        transport: Transport = create(
            id=options["id"],
            iceParameters=options["iceParameters"],
            iceCandidates=options["iceCandidates"],
            dtlsParameters=options["dtlsParameters"],
            sctpParameters=options["sctpParameters"],
        )

        async def connect(dtlsParameters: Any) -> None:  # noqa: N803 - the library's name
            await self.ask(
                "connectTransport", {"transportId": transport.id, "dtlsParameters": plain(dtlsParameters)}
            )

        async def produce(kind: str, rtpParameters: Any, appData: dict[str, Any]) -> str:  # noqa: N803
            request = {"transportId": transport.id, "kind": kind, "rtpParameters": plain(rtpParameters)}
            return str((await self.ask("produce", request | appData))["id"])

        async def produce_data(sctpStreamParameters: Any, label: str, protocol: str, appData: Any) -> str:  # noqa: N803
            stream = plain(sctpStreamParameters)
            request = {"transportId": transport.id, "sctpStreamParameters": stream, "label": label or ""}
            return str((await self.ask("produceData", request))["id"])

        transport.on("connect", connect)
        transport.on("produce", produce)
        transport.on("producedata", produce_data)
        return transport

    async def publish(self, track: MediaStreamTrack, source: str) -> None:
        """Send one track; ``source`` says what it is."""
        assert self.sender is not None
        await self.sender.produce(track=track, stopTracks=False, appData={"source": source})

    async def greet(self) -> None:
        """Open a data channel and say hello once a second."""
        assert self.sender is not None
        producer = await self.sender.produceData(label="example")

        async def talk() -> None:
            while True:
                if producer.readyState == "open":
                    producer.send("hello from pymediasoup")
                await asyncio.sleep(1)

        self.tasks.append(asyncio.create_task(talk()))

    async def new_consumers(self, event: dict[str, Any]) -> None:
        """Somebody published: take the tracks, then let them run."""
        await self.receive(event["consumers"])
        await self.ask("resumeConsumers", {"consumerIds": [one["id"] for one in event["consumers"]]})

    async def new_data_consumers(self, event: dict[str, Any]) -> None:
        """Somebody opened a data channel."""
        await self.receive_data(event["dataConsumers"])

    async def receive(self, consumers: list[dict[str, Any]]) -> None:
        """Decode and count these tracks."""
        assert self.receiver is not None
        for one in consumers:
            async with self.receiving:
                consumer = await self.receiver.consume(
                    id=one["id"],
                    producerId=one["producerId"],
                    kind=one["kind"],
                    rtpParameters=RtpParameters(**one["rtpParameters"]),
                )
            self.tasks.append(
                asyncio.create_task(self.count(consumer.track, f"{one['peerId']} {one['source']}"))
            )

    async def receive_data(self, consumers: list[dict[str, Any]]) -> None:
        """Keep what comes over these data channels."""
        assert self.receiver is not None
        for one in consumers:
            async with self.receiving:
                consumer = await self.receiver.consumeData(
                    id=one["id"],
                    dataProducerId=one["dataProducerId"],
                    sctpStreamParameters=SctpStreamParameters(**one["sctpStreamParameters"]),
                    label=one["label"],
                    protocol=one["protocol"],
                )
            consumer.on("message", self.messages.append)

    async def count(self, track: MediaStreamTrack, name: str) -> None:
        """One more for each decoded frame, until the track ends."""
        while True:
            try:
                await track.recv()
            except MediaStreamError:
                return
            self.frames[name] += 1

    async def close(self) -> None:
        """Leave the room."""
        for task in self.tasks:
            task.cancel()
        for transport in (self.sender, self.receiver):
            if transport is not None:
                await transport.close()
        await self.socket.disconnect()


async def run(url: str, token: str) -> None:
    """Join, and print every second what has come."""
    client = Client()
    try:
        await client.join(url, token)
        while True:
            print(json.dumps({"frames": dict(client.frames), "messages": client.messages[-5:]}), flush=True)
            await asyncio.sleep(1)
    finally:
        await client.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Join a room, publish a test picture, count what comes.")
    parser.add_argument("url", help="address of the server")
    parser.add_argument("token", help="room token, as from `huizhen token room`")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(options.url, options.token))


if __name__ == "__main__":
    main()
