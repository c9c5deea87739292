"""The record that is sent: pydicom's real 12 leads at 1 kHz, and 18 with the further leads derived from
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from media.signals.descriptor import Lead
from media.signals.formats import read_file, sample_record
from media.signals.frames import Samples
from media.signals.kinds import LEADS_18

# Two real leads and their weights for each further one: no heart gives these, but each sample is different
# from its neighbours as a real lead's is, and so is its size when compressed.
_DERIVED = {
    "V7": ("V6", "V5", 0.7),
    "V8": ("V6", "V5", 0.5),
    "V9": ("V6", "V4", 0.4),
    "V3R": ("V1", "V2", 0.8),
    "V4R": ("V1", "V2", 0.6),
    "V5R": ("V1", "V3", 0.5),
}


def samples_of(leads: int) -> tuple[tuple[Lead, ...], Samples]:
    """Leads and int16 samples of the shape (samples, leads), 10 s at 1 kHz."""
    (record,) = read_file(sample_record())
    if leads == len(record.leads):
        return record.leads, record.samples
    by_code = {lead.code: record.samples[:, at] for at, lead in enumerate(record.leads)}
    for code, (one, other, weight) in _DERIVED.items():
        mixed = weight * by_code[one] + (1 - weight) * by_code[other] / 2
        by_code[code] = np.rint(mixed).astype(np.int16)
    scale = record.leads[0].scale
    all_leads = tuple(Lead(code, code, scale, 0, "uV") for code in LEADS_18)
    return all_leads, np.stack([by_code[code] for code in LEADS_18], axis=1)


def write_record(directory: Path, name: str, leads: tuple[Lead, ...], samples: Samples) -> Path:
    """A WFDB record of format 16 (header(5), signal(5)); the header's path."""
    lines = [f"{name} {len(leads)} 1000 {len(samples)}"]
    for at, lead in enumerate(leads):
        first, total = int(samples[0, at]), int(samples[:, at].sum()) & 0xFFFF
        checksum = total - 0x10000 if total > 0x7FFF else total
        lines.append(f"{name}.dat 16 {1 / lead.scale:g}(0)/uV 16 0 {first} {checksum} 0 {lead.code}")
    header = directory / f"{name}.hea"
    header.write_text("\n".join(lines) + "\n", encoding="ascii")
    header.with_suffix(".dat").write_bytes(samples.astype("<i2").tobytes())
    return header
