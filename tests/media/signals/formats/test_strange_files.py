"""Whatever a file holds, reading it ends in a record or in one error of ours."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.errors import RemoteProtocolError
from media.signals.descriptor import Lead
from media.signals.formats import FORMATS, About, Gap, Note, Source, Waveform, read_file
from tests.media.signals.formats.aecg_file import aecg

ABOUT = About("6f1f3c1e-0000-4000-8000-0123456789ab")
SMALL = Waveform(
    250.0,
    (Lead("I", "I", 1.25), Lead("V9", "V9", 4.88, 7)),
    np.random.default_rng(2).integers(-900, 900, (80, 2)).astype(np.int16),
    1_772_323_199_250_001_000,
    (Gap(30, 12),),
    (Note(5, "N"), Note(40, '"', "seam")),
)


def golden(kind: str) -> dict[str, bytes]:
    """A small good file; a WFDB record unpacked."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        with path.open("w+b") as file:
            FORMATS[kind].write(Source.of(SMALL), ABOUT, file)
        if kind != "wfdb":
            return {"file": path.read_bytes()}
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


GOLDEN = {kind: golden(kind) for kind in FORMATS} | {"aecg": {"file": aecg(SMALL)}}

_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert"]), st.integers(0, 2**16), st.binary(min_size=1, max_size=6)
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for how, place, piece in edits:
        at = place % (len(data) + 1)
        if how == "set":
            data = data[:at] + piece + data[at + len(piece) :]
        elif how == "insert":
            data = data[:at] + piece + data[at:]
        else:
            data = data[:at] + data[at + 4 * len(piece) :]
    return data


@pytest.mark.parametrize("kind", GOLDEN)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    files = dict(GOLDEN[kind])
    name = data.draw(st.sampled_from(sorted(files)))
    files[name] = edited(files[name], data.draw(_EDITS))
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries say of odd values
        for one, content in files.items():
            (Path(directory) / one).write_bytes(content)
        first = next((one for one in files if one.endswith(".hea")), "file")
        with suppress(RemoteProtocolError):
            assert all(len(waveform.samples) for waveform in read_file(Path(directory) / first))


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(
        [
            b"",
            b"0       ",
            b"\xffBIOSEMI",
            b"PK\x03\x04",
            b"strip 1 250 9\n",
            b"{",
            b"# huizhen-signal 1\n",
            b"<AnnotatedECG>",
        ]
    ),
    rest=st.binary(max_size=600),
)
def test_bytes_that_only_begin_well_are_refused(start: bytes, rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "strip.hea"
        path.write_bytes(start + rest)
        with pytest.raises(RemoteProtocolError):
            read_file(path)
