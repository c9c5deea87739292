"""Packs reports into compounds that fit a path's MTU (RFC 3550 section 6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from media.limits import REPORTS_PER_PACKET, RTCP_PACKET_BYTES
from media.relay.feedback import ReceptionCounts
from media.relay.layer import Layer
from media.rtp import rtcp


def read_receptions(layers: Iterable[Layer], now: float) -> list[tuple[Layer, ReceptionCounts]]:
    """What came of each layer; their rates are taken with it."""
    read = [(layer, layer.reception.counts) for layer in layers]
    for layer, counts in read:
        layer.rate.read(counts.octets, now)
    return read


def pack_receiver_reports(
    local_ssrc: int, read: Iterable[tuple[Layer, ReceptionCounts]], now: float
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


def pack_sender_reports(reports: Iterable[rtcp.SenderReport], cnames: Mapping[int, str]) -> Iterator[bytes]:
    """Each report with its stream's canonical name, as many in a packet as fit."""
    packet = b""
    for report in reports:
        name = rtcp.SourceDescription(((report.ssrc, cnames.get(report.ssrc, "")),))
        part = rtcp.pack_compound((report, name))
        if packet and len(packet) + len(part) > RTCP_PACKET_BYTES:
            yield packet
            packet = b""
        packet += part
    if packet:
        yield packet
