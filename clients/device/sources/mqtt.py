"""Messages of a topic of an MQTT broker (3.1.1), by aiomqtt: the optional extra ``mqtt``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.device.sources.feed import Messages

QUEUE_MESSAGES = 256  # what waits for our disk, at ten messages a second: 25 s; then the newest are dropped


def mqtt_messages(url: str) -> Messages:
    """Payloads of the topic that ``mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`` names; ``mqtts`` over TLS.

    :raises DeviceFault: aiomqtt is not installed.
    """
    try:
        import aiomqtt
    except ImportError as problem:
        raise DeviceFault(faults.EXIT_USAGE, faults.EXTRA_MISSING, "pip install huizhen[mqtt]") from problem
    parts = urlsplit(url)
    topic = unquote(parts.path.lstrip("/"))
    tls = aiomqtt.TLSParameters() if parts.scheme == "mqtts" else None

    async def messages() -> AsyncIterator[bytes]:
        client = aiomqtt.Client(
            parts.hostname or "localhost",
            parts.port or (8883 if tls else 1883),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls_params=tls,
            max_queued_incoming_messages=QUEUE_MESSAGES,
        )
        try:
            async with client:
                await client.subscribe(topic, qos=1)
                async for message in client.messages:
                    if isinstance(message.payload, bytes | bytearray):
                        yield bytes(message.payload)
        except aiomqtt.MqttError as problem:
            raise OSError(str(problem)) from problem

    return messages
