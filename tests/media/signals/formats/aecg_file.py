"""HL7 aECG files for tests, as the implementation guide lays them out. Nothing in the product writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from media.signals.formats import Waveform

FILTERS = """<controlVariable><controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{name}"/><component>
<controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_CUTOFF_FREQ"/><value value="{hz}" unit="Hz"/>
</controlVariable></component></controlVariable></controlVariable>"""


def aecg(waveform: Waveform, zone: str = "") -> bytes:
    """The samples of a waveform without gaps, whose leads are in microvolts."""
    start = datetime.fromtimestamp((waveform.start_ns or 0) // 1000 / 1e6, UTC)
    time = f"{start:%Y%m%d%H%M%S}.{start.microsecond:06d}{zone}"
    period = f"{1 / waveform.sampling_rate_hz:.15g}"
    head = f'<head value="{time}"/><increment value="{period}" unit="s"/>'
    sequences = [_sequence("TIME_ABSOLUTE", "GLIST_TS", head)]
    for lead, column in zip(waveform.leads, waveform.samples.T.tolist(), strict=True):
        scaled = f'<origin value="{-lead.baseline * lead.scale:.12g}" unit="uV"/>'
        scaled += f'<scale value="{lead.scale!r}" unit="uV"/><digits>{" ".join(map(str, column))}</digits>'
        sequences.append(_sequence(f"MDC_ECG_LEAD_{lead.code.upper()}", "SLIST_PQ", scaled))
    filters = FILTERS.format(name="HIGH_PASS", hz=0.05) + FILTERS.format(name="LOW_PASS", hz=150)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- a made record -->
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/><code code="93000" codeSystem="2.16.840.1.113883.6.12"/>
<component><series><code code="RHYTHM" codeSystem="2.16.840.1.113883.5.4"/>
<effectiveTime><low value="20020304050607"/></effectiveTime>{filters}
<component><sequenceSet>{"".join(sequences)}</sequenceSet></component>
<derivation><derivedSeries><component><sequenceSet/></component></derivedSeries></derivation></series></component></AnnotatedECG>
""".encode()


def _sequence(code: str, kind: str, value: str) -> str:
    return (
        f'<component><sequence><code code="{code}"/><value xsi:type="{kind}">{value}</value>'
        "</sequence></component>\n"
    )
