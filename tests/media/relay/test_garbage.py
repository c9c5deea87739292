"""Whatever a peer sends, the relay goes on: it parses or counts, raises nothing, and others are served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

import media.relay
from media.rtp import rtcp
from media.rtp.packet import RtpPacket
from tests.media.relay.helpers import CHROMIUM, OPUS, VP8_SIMULCAST, House, Layer, received, vp8_single

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
SSRCS = st.sampled_from([500, 501, 100, 1100, 3_434_343_434, 77])
PACKETS = st.builds(
    RtpPacket,
    st.sampled_from([96, 97, 111, 0, 127]),
    U16 | st.integers(65_520, 65_535) | st.integers(0, 20),
    U32,
    SSRCS,
    st.binary(max_size=12) | st.binary(max_size=30).map(lambda tail: b"\x90\xe0" + tail),
    st.booleans(),
    extensions=st.lists(
        st.tuples(
            st.sampled_from([9, 10, 11, 2, 3, 4, 1]), st.sampled_from([b"1", b"r0", b"r1", b"r2", b"xxx"])
        ),
        max_size=3,
    ).map(tuple),
    padding=st.integers(0, 3),
)
RAW = st.binary(max_size=60)
FEEDBACK = st.one_of(
    st.builds(rtcp.Nack, U32, SSRCS, st.lists(U16, min_size=1, max_size=9, unique=True).map(tuple)),
    st.builds(rtcp.PictureLoss, U32, SSRCS),
    st.builds(rtcp.SenderReport, SSRCS, st.integers(0, 2**64 - 1), U32, U32, U32),
    st.builds(rtcp.ReceiverReport, U32, st.lists(st.builds(rtcp.ReportBlock, SSRCS), max_size=2).map(tuple)),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("rtp"), PACKETS.map(lambda packet: bytes(packet.serialize())) | RAW)
        | st.tuples(st.just("rtcp"), FEEDBACK.map(rtcp.pack) | RAW)
        | st.tuples(st.just("time"), st.just(b"")),
        max_size=40,
    )
)
def test_a_hostile_publisher(steps: list[tuple[str, bytes]]) -> None:
    house = House()
    hostile, up = house.peer()
    honest, honest_up = house.peer()
    receiver, down = house.peer()
    for kind, parameters in (("video", vp8_single()), ("video", VP8_SIMULCAST), ("audio", OPUS)):
        producer = hostile.produce(kind, parameters, "camera")
        receiver.consume(producer.id, CHROMIUM, paused=False)
    good = honest.produce("video", vp8_single(), "camera")
    consumer = receiver.consume(good.id, CHROMIUM, paused=False)
    for action, data in steps:
        if action == "rtp":
            up.handlers.rtp_received(bytearray(data), house.now)
        elif action == "rtcp":
            up.handlers.rtcp_received(data, house.now)
            down.handlers.rtcp_received(data, house.now)
        else:
            house.run(0.3)
    layer = Layer(honest_up, house, 500, "", 1, 1)
    layer.named = False
    layer.frame(key=True)
    layer.frame()
    assert len(received(down, consumer.ssrc)) == 4
    house.run(1.5)
    assert all(transport.stats() for transport in house.router.transports.values())
    house.router.close()


def test_the_public_names() -> None:
    assert sorted(media.relay.__all__) == [
        "Consumer",
        "DataConsumer",
        "DataProducer",
        "PacketSink",
        "Producer",
        "RelayTimer",
        "Router",
        "RouterListener",
        "WebRtcTransport",
        "router_rtp_capabilities",
    ]
    assert all(hasattr(media.relay, name) for name in media.relay.__all__)
