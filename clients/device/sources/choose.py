"""Which source the option ``--source`` means.

::

    FILE                                    a record: DICOM, WFDB, EDF+, BDF+, HL7 aECG, FHIR, CSV
    -                                       text messages on standard input
    tcp://HOST:PORT                         text messages, a line each
    mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC, mqtts://...
    lsl:NAME                                an outlet of the Lab Streaming Layer
    synthetic:ecg,pleth?rate=72&noise=3     see `clients.device.sources.synthetic`
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from clients.device import faults
from clients.device.faults import DeviceFault
from clients.device.runner import load
from clients.device.sources.feed import Messages, TextFeed, stdin_lines, tcp_lines
from clients.device.sources.lsl import LslSource
from clients.device.sources.mqtt import mqtt_messages
from clients.device.sources.record import RecordSource
from clients.device.sources.source import FrameLength, Sleep, Source, Tell
from clients.device.sources.synthetic import SyntheticSource, patient_of
from media.clock import Clock
from media.signals.formats import read_file, sample_record

_SCHEMES = ("tcp", "mqtt", "mqtts", "lsl", "synthetic")


def choose(
    source: str | None,
    file: Path | None,
    loop: bool,
    clock: Clock,
    sleep: Sleep,
    tell: Tell,
    length: FrameLength,
) -> Callable[[], Source]:
    """Makes the source of each session. A file is read now, so that a bad one is said at once.

    :param length: of the pieces that the source gives; it may change while it runs.
    :raises DeviceFault: the file or the address is of no use.
    """
    scheme = (source or "").partition(":")[0]
    if source != "-" and scheme not in _SCHEMES:
        waveforms = load(Path(source) if source else file or sample_record(), read_file)
        return lambda: RecordSource(waveforms, loop, clock, sleep, length)
    if file is not None:
        raise DeviceFault(faults.EXIT_USAGE, faults.FILE_OR_SOURCE)
    assert source is not None
    if scheme == "synthetic":
        patient = patient_of(source)
        return lambda: SyntheticSource(patient, clock, sleep, length)
    if scheme == "lsl":
        outlet = LslSource(source.removeprefix("lsl:"), clock, sleep, tell, length)
        return lambda: outlet
    messages, again = _messages(source, scheme)
    return lambda: TextFeed(messages, again, clock, sleep, tell, length)


def _messages(source: str, scheme: str) -> tuple[Messages, bool]:
    if source == "-":
        return stdin_lines, False
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:
        raise DeviceFault(faults.EXIT_USAGE, faults.SOURCE_UNKNOWN, source) from None
    if scheme == "tcp" and parts.hostname and port:
        return tcp_lines(parts.hostname, port), True
    if scheme in ("mqtt", "mqtts") and parts.hostname and parts.path.strip("/"):
        return mqtt_messages(source), True
    raise DeviceFault(faults.EXIT_USAGE, faults.SOURCE_UNKNOWN, source)
