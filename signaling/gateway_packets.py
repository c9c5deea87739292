"""Socket.IO packets as the gateway wants them: every client event is one ``request``, nothing is thrown.

Part of the gateway; with `signaling.gateway` and `signaling.gateway_socket` the only importer of ``socketio``
and ``engineio``.
"""

from __future__ import annotations

import re
from typing import Any

from engineio import packet as engine_packet
from socketio import packet as socket_packet

from media.errors import MALFORMED, TOO_LARGE, RemoteProtocolError
from signaling.limits import IDENTIFIER_MAX, MESSAGE_BYTES_MAX

REQUEST = "request"

_HEAD = re.compile(r"[0-6](?:/[^,]{1,64},)?[0-9]{0,18}")


class RequestPacket(socket_packet.Packet):  # type: ignore[misc]
    """A Socket.IO packet whose every client event becomes the one event ``request``.

    Its arguments are ``event, arguments, wants_ack, fault``. So nothing that a client names can reach another
    handler of the library, malformed JSON is answered instead of thrown, binary attachments are never waited
    for.
    """

    packet_type: Any
    data: Any
    id: Any

    def decode(self, encoded_packet: Any) -> int:
        """Never raises; the attachment count is always 0."""
        fault: RemoteProtocolError | None = None
        attachments = 0
        if len(encoded_packet) > MESSAGE_BYTES_MAX:
            fault = RemoteProtocolError(TOO_LARGE, f"over {MESSAGE_BYTES_MAX} bytes")
            encoded_packet = _head(encoded_packet)
        try:
            attachments = super().decode(encoded_packet)
        except (ValueError, TypeError, IndexError, RecursionError):
            fault = RemoteProtocolError(MALFORMED, "not a Socket.IO packet with JSON")
        if self.packet_type == socket_packet.CONNECT:
            self.data = self.data if isinstance(self.data, dict) else None
        elif self.packet_type != socket_packet.DISCONNECT:
            self._become_request(attachments, fault)
        return 0

    def _become_request(self, attachments: int, fault: RemoteProtocolError | None) -> None:
        data = self.data if isinstance(self.data, list) else []
        name = data[0] if data else None
        if fault is None and (self.packet_type != socket_packet.EVENT or attachments):
            fault = RemoteProtocolError(MALFORMED, "only events without binary data")
        if fault is None and (not isinstance(name, str) or len(name) > IDENTIFIER_MAX):
            fault = RemoteProtocolError(MALFORMED, "event name")
        self.packet_type = socket_packet.EVENT
        self.data = [REQUEST, name, tuple(data[1:]), self.id is not None, fault]


def _head(encoded_packet: str | bytes) -> str:
    """Type, namespace and acknowledgement id: enough to know whom to answer."""
    if isinstance(encoded_packet, bytes):
        return "2"
    found = _HEAD.match(encoded_packet)
    return found.group() if found else "2"


def event_packet(namespace: str, event: str, payload: dict[str, Any]) -> Any:
    """An event to a client, ready for its Engine.IO queue."""
    text = socket_packet.Packet(socket_packet.EVENT, [event, payload], namespace, binary=False).encode()
    return engine_packet.Packet(engine_packet.MESSAGE, text)
