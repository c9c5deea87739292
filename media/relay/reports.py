"""Reports of the plain plane, and their answers (RFC 3550 section 6.4); packed to fit a path's MTU."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from media.limits import REPORTS_PER_PACKET, RTCP_PACKET_BYTES, SENDER_REPORTS_KEPT
from media.relay.feedback import ReceptionCounts
from media.rtp import rtcp
from media.rtp.clocks import ntp_middle, short_seconds

if TYPE_CHECKING:
    from media.relay.layer import PlainLayer
    from media.relay.subscription import PlainSubscription

Sent = tuple[rtcp.SenderReport, str]
"""A report with the canonical name of its stream."""


class Answers:
    """When we reported of one outgoing stream, and what its receiver answered."""

    __slots__ = ("_sent", "block", "round_trip")

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=SENDER_REPORTS_KEPT)
        self.block: rtcp.ReportBlock | None = None
        self.round_trip: float | None = None

    def sent(self, ntp: int, now: float) -> None:
        """A report of this NTP time leaves."""
        self._sent.append((ntp_middle(ntp), now))

    def received(self, block: rtcp.ReportBlock, now: float) -> None:
        """The receiver's report; one of ours that it names tells the round trip."""
        self.block = block
        for middle, sent_at in self._sent:
            if middle == block.last_sr and block.last_sr:
                self.round_trip = max(0.0, now - sent_at - short_seconds(block.delay_since_last_sr))


def make_reports(
    local_ssrc: int,
    layers: Iterable[PlainLayer],
    subscriptions: Iterable[PlainSubscription],
    connected: bool,
    now: float,
    wall: float,
) -> list[bytes]:
    """All that one peer is told once in a report interval; empty while it is not connected."""
    read = read_receptions(layers, now)
    reports = [(report, one.cname) for one in subscriptions if (report := one.report(now, wall)) is not None]
    if not connected:
        return []
    return [*pack_receiver_reports(local_ssrc, read, now), *pack_sender_reports(reports)]


def read_receptions(layers: Iterable[PlainLayer], now: float) -> list[tuple[PlainLayer, ReceptionCounts]]:
    """What came of each layer; their rates are taken with it."""
    read = [(layer, layer.reception.counts) for layer in layers]
    for layer, counts in read:
        layer.rate.read(counts.octets, now)
    return read


def pack_receiver_reports(
    local_ssrc: int, read: Iterable[tuple[PlainLayer, ReceptionCounts]], now: float
) -> Iterator[bytes]:
    """One report block for each layer that has ever sent; nothing when there is none.

    :param read: as `read_receptions` has just done it.
    """
    blocks = [
        layer.reception.report(layer.ssrc, now, counts)
        for layer, counts in read
        if layer.ssrc is not None and counts.packets
    ]
    for at in range(0, len(blocks), REPORTS_PER_PACKET):
        yield rtcp.pack(rtcp.ReceiverReport(local_ssrc, tuple(blocks[at : at + REPORTS_PER_PACKET])))


def pack_sender_reports(reports: Iterable[Sent]) -> Iterator[bytes]:
    """Each report with its stream's canonical name, as many in a packet as fit."""
    packet = b""
    for report, cname in reports:
        part = rtcp.pack_compound((report, rtcp.SourceDescription(((report.ssrc, cname),))))
        if packet and len(packet) + len(part) > RTCP_PACKET_BYTES:
            yield packet
            packet = b""
        packet += part
    if packet:
        yield packet
