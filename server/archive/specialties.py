"""The specialties that a consult may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Specialty:
    """``code`` never changes; the names are for people."""

    code: str
    zh: str
    en: str


SPECIALTIES = (
    Specialty("cardiology", "心血管内科", "Cardiology"),
    Specialty("neurology", "神经内科", "Neurology"),
    Specialty("ultrasound", "超声医学科", "Ultrasound"),
    Specialty("respiratory", "呼吸内科", "Respiratory medicine"),
    Specialty("emergency", "急诊科", "Emergency medicine"),
    Specialty("obstetrics", "产科", "Obstetrics"),
    Specialty("paediatrics", "儿科", "Paediatrics"),
    Specialty("surgery", "普通外科", "General surgery"),
)


def specialty(code: str) -> Specialty | None:
    """The specialty with this code, or None."""
    return next((entry for entry in SPECIALTIES if entry.code == code), None)
