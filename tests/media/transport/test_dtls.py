"""Two DTLS ends in memory: both roles, lost flights, wrong certificates, garbage."""

from __future__ import annotations

import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.transport.certificate import ROTATE_AFTER_S, DtlsCertificate
from media.transport.dtls import DtlsEndpoint, split_records
from media.transport.parameters import DtlsParameters
from media.transport.srtp import SRTP_PROFILES, PacketBuffer, SrtpContext, SrtpKeys

NOW = 1_767_225_600.0


@pytest.fixture(scope="module")
def certificates() -> tuple[DtlsCertificate, DtlsCertificate]:
    return DtlsCertificate(NOW), DtlsCertificate(NOW)


def pair(certificates: tuple[DtlsCertificate, DtlsCertificate]) -> tuple[DtlsEndpoint, DtlsEndpoint]:
    """A client and a server that expect each other."""
    ours, theirs = certificates
    client = DtlsEndpoint(ours, True, DtlsParameters("server", (("sha-256", theirs.fingerprint),)))
    server = DtlsEndpoint(theirs, False, DtlsParameters("client", (("sha-256", ours.fingerprint),)))
    client.start()
    server.start()
    return client, server


def exchange(client: DtlsEndpoint, server: DtlsEndpoint, drop: set[int] | None = None) -> int:
    """Deliver until nobody has anything to send; datagrams numbered in ``drop`` are lost."""
    number = 0
    busy = True
    while busy:
        busy = False
        for sender, receiver in ((client, server), (server, client)):
            for datagram in list(sender.datagrams_to_send()):
                busy = True
                number += 1
                if number not in (drop or set()):
                    receiver.receive(datagram)
    return number


def wait_for_timer(*ends: DtlsEndpoint) -> None:
    """OpenSSL reads the machine's clock for its timer: wait as long as it says, then let it act."""
    delays = [delay for end in ends if (delay := end.timeout()) is not None]
    select.select([], [], [], min(delays) + 0.01)
    for end in ends:
        end.handle_timeout()


def test_both_ends_agree_on_keys_and_prefer_gcm_128(
    certificates: tuple[DtlsCertificate, DtlsCertificate],
) -> None:
    client, server = pair(certificates)
    assert exchange(client, server) == 4
    assert (client.state, server.state) == ("connected", "connected")
    assert client.srtp_keys is not None
    assert server.srtp_keys is not None
    assert client.srtp_keys.profile.name == "AEAD_AES_128_GCM"
    assert client.srtp_keys.local == server.srtp_keys.remote
    assert client.srtp_keys.remote == server.srtp_keys.local
    assert client.srtp_keys.local != client.srtp_keys.remote


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_flight_is_sent_again(
    certificates: tuple[DtlsCertificate, DtlsCertificate], lost: int
) -> None:
    client, server = pair(certificates)
    exchange(client, server, drop={lost})
    assert client.state == "connecting"
    wait_for_timer(client, server)
    exchange(client, server)
    assert (client.state, server.state) == ("connected", "connected")


def test_lost_last_flight_is_repeated_when_the_client_asks(
    certificates: tuple[DtlsCertificate, DtlsCertificate],
) -> None:
    client, server = pair(certificates)
    exchange(client, server, drop={4})
    assert (client.state, server.state) == ("connecting", "connected")
    wait_for_timer(client)
    exchange(client, server)
    assert client.state == "connected"


def test_application_data_both_ways_then_goodbye(
    certificates: tuple[DtlsCertificate, DtlsCertificate],
) -> None:
    client, server = pair(certificates)
    exchange(client, server)
    client.send(b"one")
    client.send(b"two")
    records = b"".join(client.datagrams_to_send())
    assert server.receive(records) == [b"one", b"two"]
    server.close()
    for datagram in server.datagrams_to_send():
        client.receive(datagram)
    assert client.state == "closed"
    server.close()
    assert server.receive(b"\x17\xfe\xfd" + bytes(30)) == []


def test_another_certificate_than_announced_fails(
    certificates: tuple[DtlsCertificate, DtlsCertificate],
) -> None:
    ours, theirs = certificates
    client = DtlsEndpoint(ours, True, DtlsParameters("server", (("sha-256", ours.fingerprint),)))
    server = DtlsEndpoint(theirs, False, DtlsParameters("client", (("sha-256", ours.fingerprint),)))
    client.start()
    exchange(client, server)
    assert (client.state, client.failure) == ("failed", "fingerprint mismatch")
    assert client.srtp_keys is None


def test_only_unknown_digests_fail(certificates: tuple[DtlsCertificate, DtlsCertificate]) -> None:
    ours, theirs = certificates
    client = DtlsEndpoint(ours, True, DtlsParameters("server", (("md2", "AB"),)))
    server = DtlsEndpoint(theirs, False, DtlsParameters("client", (("sha-256", ours.fingerprint),)))
    client.start()
    exchange(client, server)
    assert client.state == "failed"


def test_closing_before_anything_waits_for_nobody(
    certificates: tuple[DtlsCertificate, DtlsCertificate],
) -> None:
    client, _ = pair(certificates)
    client.close()
    assert client.state == "closed"
    assert client.timeout() is None


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=6))
def test_garbage_neither_raises_nor_connects(datagrams: list[bytes]) -> None:
    server = DtlsEndpoint(_SHARED, False, DtlsParameters("client", (("sha-256", "00"),)))
    server.start()
    for datagram in datagrams:
        assert server.receive(bytes([22]) + datagram) == []
    assert server.state in ("connecting", "failed")


_SHARED = DtlsCertificate(NOW)


@given(st.lists(st.integers(0, 900), min_size=1, max_size=12), st.integers(100, 1500))
def test_records_are_cut_whole_and_in_order(lengths: list[int], size: int) -> None:
    records = [bytes([22, 254, 253]) + bytes(8) + n.to_bytes(2, "big") + bytes(n) for n in lengths]
    datagrams = list(split_records(b"".join(records), size))
    assert b"".join(datagrams) == b"".join(records)
    longest = max(len(record) for record in records)
    assert all(len(datagram) <= max(size, longest) for datagram in datagrams)


def test_certificate_goes_stale_after_a_week() -> None:
    assert not _SHARED.is_stale(NOW + ROTATE_AFTER_S - 1)
    assert _SHARED.is_stale(NOW + ROTATE_AFTER_S)


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.name)
def test_srtp_both_ways_in_every_profile(profile: object) -> None:
    chosen = next(known for known in SRTP_PROFILES if known is profile)
    material = bytes(range(2 * (chosen.key_length + chosen.salt_length)))
    client = SrtpKeys.from_exporter(chosen, material, is_client=True)
    server = SrtpKeys.from_exporter(chosen, material, is_client=False)
    out = SrtpContext(chosen, client.local, True, PacketBuffer())
    inward = SrtpContext(chosen, server.remote, False, PacketBuffer())
    packet = bytes.fromhex("80600001000000010000007b") + bytes(range(200)) * 7
    protected = out.rtp(packet)
    assert protected is not None
    wire = bytes(protected)
    assert wire[12:] != packet[12:]
    plain = inward.rtp(wire)
    assert plain is not None
    assert bytes(plain) == packet
    assert inward.rtp(wire) is None, "a replayed packet is refused"
    assert inward.rtp(wire[:-1] + bytes([wire[-1] ^ 1])) is None
    report = bytes.fromhex("80c90001000000ff")
    protected = out.rtcp(report)
    assert protected is not None
    plain = inward.rtcp(bytes(protected))
    assert plain is not None
    assert bytes(plain) == report
    assert out.rtp(bytes(4000)) is None
