"""Which tables the routers on a media socket use: the compiled ones where its engine moves the packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from media import native
from media.relay.lane import PlainTables, Tables
from media.relay.native_tables import NativeTables
from media.relay.tap import PacketSink
from media.relay.wire import Wire
from media.transport.media_socket import MediaSocket

if TYPE_CHECKING:
    from media._native import RulePeer
    from media.transport.native_socket import NativeMediaSocket


def tables_of(socket: MediaSocket) -> Tables:
    """The one set of tables of all routers whose transports are on ``socket``; asked for once."""
    if socket.plane == "python":
        return PlainTables()
    from media.transport.native_socket import NativeMediaSocket

    assert isinstance(socket, NativeMediaSocket)  # it says so
    carrier = EngineCarrier(socket)
    tables = NativeTables(native.module(), carrier, socket.rule)
    socket.on_news = tables.dispatch
    return tables


class EngineCarrier:
    """A `media.relay.native_tables.Carrier`: the engine of a media socket."""

    drains = True

    def __init__(self, socket: NativeMediaSocket) -> None:
        self._socket = socket

    def attach(self, wire: Wire, peer: RulePeer) -> None:
        wire.attach(peer)

    def attach_tap(self, sink: PacketSink, peer: RulePeer, now: Callable[[], float]) -> Callable[[], None]:
        return self._socket.tap(peer, sink.packet).close
