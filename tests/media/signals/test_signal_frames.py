"""The wire frame: golden bytes, round trips, and everything that is not a frame."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from media.errors import RemoteProtocolError
from media.limits import SIGNAL_MAX_FRAME_BYTES
from media.signals.descriptor import Band, Lead, StreamDescriptor
from media.signals.frames import (
    FLAG_BACKFILL,
    FLAG_DELTA,
    FLAG_SEAM,
    Frame,
    FrameHeader,
    check_header,
    decode,
    encode,
    fingerprint_of,
    inspect,
    mark_backfill,
    payload_of,
    read_header,
    samples_of_run,
)

STREAM = "00112233-4455-6677-8899-aabbccddeeff"
TWO = StreamDescriptor(STREAM, "ecg", "", 500.0, (Lead("I", scale=1.25), Lead("II", scale=1.25)))
SAMPLES = np.array([[1, -1], [2, -2], [3, 32767]], dtype=np.int16)


def descriptor_of(leads: int) -> StreamDescriptor:
    return StreamDescriptor(STREAM, "ecg", "", 500.0, tuple(Lead(f"L{n}") for n in range(leads)))


def refused(data: bytes, descriptor: StreamDescriptor = TWO) -> str:
    """The one code with which a frame is refused, whether its samples are wanted or not."""
    codes = set()
    for read in (decode, inspect):
        with pytest.raises(RemoteProtocolError) as caught:
            read(data, descriptor)
        codes.add(caught.value.code.code)
    (code,) = codes
    return code


def with_crc(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_frame_is_known_again_when_it_is_sent_late() -> None:
    for flags in (0, FLAG_DELTA, FLAG_DELTA | FLAG_SEAM):
        data = encode(Frame.of(TWO, 7, 1, SAMPLES, flags))
        late = mark_backfill(data)
        assert fingerprint_of(late, read_header(late)) == fingerprint_of(data, read_header(data))
        other = mark_backfill(encode(Frame.of(TWO, 7, 1, SAMPLES + 1, flags)))
        assert fingerprint_of(other, read_header(other)) != fingerprint_of(data, read_header(data))


def test_golden_plain_frame() -> None:
    data = encode(Frame.of(TWO, 7, 1_000_000_000, SAMPLES, FLAG_SEAM))
    body = bytes.fromhex(
        "485a 01 04 00112233445566778899aabbccddeeff 0700000000000000 00ca9a3b00000000 20a10700 02 00 0300"
    )
    body += struct.pack("<II", TWO.crc, 12) + bytes.fromhex("0100ffff 0200feff 0300ff7f")
    assert data == with_crc(body)


def test_golden_descriptor_crc_is_of_plain_json() -> None:
    text = b'["ecg",500000,[["I","uV",1250000,0],["II","uV",1250000,0]]]'
    assert TWO.crc == zlib.crc32(text)
    renamed = StreamDescriptor(STREAM, "ecg", "other label", 500.0, TWO.leads)
    assert renamed.crc == TWO.crc


def test_compressed_payload_is_lead_major_differences() -> None:
    data = encode(Frame.of(TWO, 0, 0, SAMPLES, FLAG_DELTA))
    deltas = np.frombuffer(zlib.decompress(data[52:-4]), dtype="<i2")
    assert deltas.tolist() == [1, 1, 1, -1, -1, 32767 + 2 - 65536]


@given(
    samples=hnp.arrays(np.int16, st.tuples(st.integers(1, 200), st.integers(1, 18))),
    flags=st.sampled_from([0, FLAG_DELTA, FLAG_DELTA | FLAG_SEAM, FLAG_BACKFILL]),
    sequence=st.integers(0, 2**64 - 1),
    time_ns=st.integers(0, 2**64 - 1),
)
def test_round_trip(samples: np.ndarray, flags: int, sequence: int, time_ns: int) -> None:
    descriptor = descriptor_of(samples.shape[1])
    data = encode(Frame.of(descriptor, sequence, time_ns, samples, flags))
    frame = decode(data, descriptor)
    header = read_header(data)
    assert inspect(data, descriptor) == (header, payload_of(data, header))
    assert (frame.sequence, frame.device_time_ns, frame.flags) == (sequence, time_ns, flags)
    assert np.array_equal(frame.samples, samples)


@given(data=st.binary(max_size=300))
def test_garbage_is_one_clear_error(data: bytes) -> None:
    assert refused(data).startswith("signal_")
    assert refused(b"HZ\x01" + data).startswith("signal_")


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(position: int, bit: int) -> None:
    data = bytearray(encode(Frame.of(TWO, 7, 1, SAMPLES)))
    data[position % len(data)] ^= 1 << bit
    assert refused(bytes(data)) in {"signal_crc", "signal_malformed"}


@pytest.mark.parametrize("length", range(68))
def test_any_cut_frame_is_refused(length: int) -> None:
    data = encode(Frame.of(TWO, 7, 1, SAMPLES, 0))
    assert len(data) == 68
    assert refused(data[:length]) == "signal_malformed"


@given(st.integers(0, 51), st.integers(0, 255), st.sampled_from([0, FLAG_DELTA, FLAG_DELTA | FLAG_BACKFILL]))
def test_the_quick_look_at_a_frame_finds_what_the_thorough_one_does(at: int, value: int, flags: int) -> None:
    data = bytearray(encode(Frame.of(TWO, 7, 1, SAMPLES, flags))[:-4])
    data[at] = value
    changed = with_crc(bytes(data))
    found = looked_through(changed)
    assert found == (refused(changed) if isinstance(found, str) else inspect(changed, TWO)[0])


def looked_through(data: bytes) -> FrameHeader | str:
    """The header, field by field, or the code of what is wrong."""
    try:
        header = read_header(data)
        check_header(header, TWO)
        payload_of(data, header)
    except RemoteProtocolError as fault:
        return fault.code.code
    return header


def test_what_was_not_announced_is_named() -> None:
    data = encode(Frame.of(TWO, 0, 0, SAMPLES))
    others = {
        "signal_lead_set_changed": descriptor_of(2),
        "signal_rate_changed": StreamDescriptor(STREAM, "ecg", "", 250.0, TWO.leads),
        "signal_wrong_stream": StreamDescriptor("0" * 8 + STREAM[8:], "ecg", "", 500.0, TWO.leads),
    }
    for code, descriptor in others.items():
        assert refused(data, descriptor) == code


@pytest.mark.parametrize(("value", "fine"), [(0, True), (4095, True), (-1, False), (4096, False)])
@pytest.mark.parametrize("flags", [0, FLAG_DELTA])
def test_a_sample_beyond_what_the_device_can_give_is_named(value: int, fine: bool, flags: int) -> None:
    band = Band(0.05, 150.0)
    leads = (Lead("I", band=band), Lead("II", scale=1.5, baseline=2047, limits=(0, 4095)))
    stream = StreamDescriptor(STREAM, "ecg", "", 250.0, leads)
    assert StreamDescriptor.from_json(stream.as_json()).as_json() == stream.as_json()
    samples = np.zeros((25, 2), dtype=np.int16)
    samples[:, 0] = -30_000  # of a lead that announced nothing
    samples[7, 1] = value
    data = encode(Frame.of(stream, 0, 0, samples, flags))
    if fine:
        inspect(data, stream)
        return
    with pytest.raises(RemoteProtocolError, match=r"signal_out_of_range.*lead II"):
        inspect(data, stream)


def test_frame_larger_than_the_bound_is_not_read() -> None:
    assert refused(bytes(SIGNAL_MAX_FRAME_BYTES + 1)) == "signal_too_large"
    with pytest.raises(ValueError, match="larger"):
        encode(Frame.of(descriptor_of(10), 0, 0, np.zeros((4000, 10), np.int16), 0))


def test_a_zlib_bomb_is_not_inflated() -> None:
    good = bytearray(encode(Frame.of(TWO, 0, 0, SAMPLES))[:-4])
    bomb = zlib.compress(bytes(10_000_000))
    good[48:52] = struct.pack("<I", len(bomb))
    assert refused(with_crc(bytes(good[:52]) + bomb)) == "signal_malformed"


def test_trailing_bytes_behind_zlib_are_refused() -> None:
    good = bytearray(encode(Frame.of(TWO, 0, 0, SAMPLES))[:-4]) + b"xx"
    good[48:52] = struct.pack("<I", len(good) - 52)
    assert refused(with_crc(bytes(good))) == "signal_malformed"


@pytest.mark.parametrize("flags", [(FLAG_DELTA,) * 3, (0,) * 3, (FLAG_DELTA, 0, FLAG_DELTA)])
@pytest.mark.parametrize("lengths", [(25, 25, 25), (25, 30, 1)])
def test_a_run_of_frames_is_its_frames_one_behind_the_other(
    flags: tuple[int, ...], lengths: tuple[int, ...]
) -> None:
    draw = np.random.default_rng(3)
    parts = [draw.integers(-32768, 32767, (length, 2)).astype(np.int16) for length in lengths]
    datas = [
        encode(Frame.of(TWO, number, 0, samples, flag))
        for number, (samples, flag) in enumerate(zip(parts, flags, strict=True))
    ]
    headed = [(data, read_header(data)) for data in datas]
    run = samples_of_run([(payload_of(data, header), header) for data, header in headed])
    assert run.dtype == np.int16
    assert np.array_equal(run, np.concatenate(parts))


def test_backfill_mark_changes_one_bit() -> None:
    data = mark_backfill(encode(Frame.of(TWO, 3, 0, SAMPLES)))
    assert read_header(data).flags == FLAG_DELTA | FLAG_BACKFILL
    assert np.array_equal(decode(data, TWO).samples, SAMPLES)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("samplingRateHz", 10**400),
        ("samplingRateHz", float("inf")),
        ("leads", [{**TWO.as_json()["leads"][0], "scale": 10**400}]),
        ("streamId", "x"),
        ("streamId", 5),
        ("kind", ""),
        ("label", "x" * 200),
        ("samplingRateHz", 0),
        ("samplingRateHz", True),
        ("samplingRateHz", 1e9),
        ("samplingRateHz", float("nan")),
        ("leads", []),
        ("leads", [{"code": "I", "scale": 1}, {"code": "I", "scale": 1}]),
        ("leads", [{"code": "I", "scale": "1"}]),
        ("leads", [{"code": "I", "scale": 1, "baseline": 1.5}]),
        ("leads", ["I"]),
        *(
            ("leads", [{"code": "I", "scale": 1, "band": band}])
            for band in (5, {"lowHz": -1}, {"highHz": "150"}, {"notchHz": 1e9}, {"lowHz": 0})
        ),
        *(
            ("leads", [{"code": "I", "scale": 1, "limits": limits}])
            for limits in ([0], [5, 5], [0, 40_000], [0, True], [0.0, 1], "01")
        ),
        ("group", 5),
        ("leads", [{"code": f"L{n}", "scale": 1} for n in range(65)]),
    ],
)
def test_bad_descriptor_is_refused(field: str, value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        StreamDescriptor.from_json({**TWO.as_json(), field: value})


def test_descriptor_json_round_trip() -> None:
    again = StreamDescriptor.from_json(TWO.as_json())
    assert again.crc == TWO.crc
    assert again.as_json() == TWO.as_json()
