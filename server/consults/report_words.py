"""The fixed words of a printed report, Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]

_WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("远程会诊意见书", "Teleconsultation report"),
    "number": ("会诊编号", "Number"),
    "patient": ("患者", "Patient"),
    "identifier": ("证件或病历号", "Identifier"),
    "from": ("申请方", "Requested by"),
    "expert": ("会诊专家", "Expert"),
    "kind": ("类型", "Kind"),
    "specialty": ("会诊科室", "Specialty"),
    "submitted": ("申请时间", "Requested"),
    "accepted": ("接诊时间", "Accepted"),
    "signed": ("签名时间", "Signed"),
    "purpose": ("会诊目的", "Question"),
    "summary": ("病情摘要", "Summary"),
    "critical": ("危急值，须立即处理", "CRITICAL VALUE: act at once"),
    "critical_seen": ("危急值确认时间", "Critical value acknowledged"),
    "findings": ("所见", "Findings"),
    "conclusion": ("诊断意见", "Impression"),
    "advice": ("建议", "Recommendations"),
    "follow_up": ("随访", "Follow-up"),
    "contributions": ("各科意见", "Opinions of the specialties"),
    "addendum": ("补充说明", "Addendum"),
    "decision": ("申请医生的处置", "Decision of the inviting doctor"),
    "adopted": ("采纳", "Adopted"),
    "partly": ("部分采纳", "Partly adopted"),
    "not": ("未采纳", "Not adopted"),
    "stands": ("电子签名有效", "The electronic signature stands"),
    "broken": ("电子签名无效，请勿采用", "THE ELECTRONIC SIGNATURE DOES NOT STAND: do not use"),
    "key": ("公钥指纹", "Key fingerprint"),
    "check": ("扫码或在下列网址输入查验码，核对本意见书", "Check this report: scan, or enter the code at"),
    "code": ("查验码", "Code"),
    "advisory": (
        "会诊意见供申请医生参考，由申请医生决定处置。",
        "The opinion is advisory; the inviting doctor decides.",
    ),
    "male": ("男", "male"),
    "female": ("女", "female"),
    "unknown": ("性别不详", "sex unknown"),
    "years": ("{age} 岁", "{age} years"),
    "time_zone": ("时间为北京时间", "Times are China Standard Time (UTC+8)"),
    "time_zone_of": ("时间按 {zone}", "Times are those of {zone}"),
    "page": ("第 {page} 页，共 {pages} 页", "Page {page} of {pages}"),
    "kind.urgent": ("急会诊", "Urgent"),
    "kind.diagnostic": ("远程诊断", "Diagnostic read"),
    "kind.routine": ("普通会诊", "Routine"),
    "kind.mdt": ("多学科会诊", "Multidisciplinary"),
    "kind.teaching": ("教学查房", "Teaching round"),
    "kind.guidance": ("远程指导", "Guidance"),
    "kind.picture_text": ("图文会诊", "Picture and text"),
}


def word(name: str, language: Language) -> str:
    return _WORDS[name][0 if language == "zh" else 1]
