"""The people and places of the demo: the county of Yunling. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from server.auth.actor import Role

PASSWORD = "huizhen-demo"  # noqa: S105 - the demo's own, printed at its start
ECG_DEVICE, ULTRASOUND_DEVICE = "dev-ecg-1", "dev-us-1"
DEVICE_TOKENS = {ECG_DEVICE: "hzd_demo-ecg-1", ULTRASOUND_DEVICE: "hzd_demo-ultrasound-1"}
HOSPITAL = "org-yunling-hospital"


@dataclass(frozen=True, slots=True)
class Place:
    id: str
    zh: str
    en: str
    level: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class Person:
    """``username`` signs in; ``titles`` is Chinese and English."""

    username: str
    zh: str
    en: str
    titles: tuple[str, str]
    place: str
    roles: tuple[Role, ...]
    specialties: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"prc-{self.username}"


@dataclass(frozen=True, slots=True)
class DemoPatient:
    id: str
    zh: str
    en: str
    sex: str
    birth_date: str
    identifier: str
    place: str


PLACES = (
    Place(HOSPITAL, "云岭县人民医院", "Yunling County People's Hospital", "county", None),
    Place("org-qingshi", "青石镇中心卫生院", "Qingshi Township Health Centre", "township", HOSPITAL),
    Place("org-shiqiao", "石桥村卫生室", "Shiqiao Village Clinic", "village", "org-qingshi"),
    Place("org-liuwan", "柳湾村卫生室", "Liuwan Village Clinic", "village", "org-qingshi"),
)

_VILLAGE = ("乡村医生", "Village doctor")
_CHIEF = ("主任医师", "Chief physician")
_ASSOCIATE = ("副主任医师", "Associate chief physician")
_ATTENDING = ("主治医师", "Attending physician")
_EXPERT = (Role.EXPERT,)

PEOPLE = (
    Person("village", "李秀兰", "Li Xiulan", _VILLAGE, "org-shiqiao", (Role.VILLAGE_DOCTOR,)),
    Person("village2", "赵大勇", "Zhao Dayong", _VILLAGE, "org-liuwan", (Role.VILLAGE_DOCTOR,)),
    Person("township", "周明", "Zhou Ming", _ATTENDING, "org-qingshi", (Role.TOWNSHIP_DOCTOR,)),
    Person("cardio1", "王建国", "Wang Jianguo", _CHIEF, HOSPITAL, _EXPERT, ("cardiology",)),
    Person("cardio2", "陈静", "Chen Jing", _ASSOCIATE, HOSPITAL, _EXPERT, ("cardiology",)),
    Person("neuro1", "孙立", "Sun Li", _CHIEF, HOSPITAL, _EXPERT, ("neurology",)),
    Person("sono1", "何敏", "He Min", _ASSOCIATE, HOSPITAL, _EXPERT, ("ultrasound",)),
    Person("desk", "刘芳", "Liu Fang", ("值班台", "Consult desk"), HOSPITAL, (Role.DESK,)),
    Person("regulator", "监管员", "Regulator", ("卫健局", "Health bureau"), HOSPITAL, (Role.REGULATOR,)),
    Person("admin", "管理员", "Administrator", ("信息科", "IT department"), HOSPITAL, (Role.ADMIN,)),
)

PATIENTS = (
    DemoPatient(
        "pat-demo-1", "张桂英", "Zhang Guiying", "female", "1958-03-12", "YL-1958-0312", "org-shiqiao"
    ),
    DemoPatient("pat-demo-2", "刘德福", "Liu Defu", "male", "1949-11-02", "YL-1949-1102", "org-shiqiao"),
    DemoPatient("pat-demo-3", "陈小宝", "Chen Xiaobao", "male", "2019-06-20", "YL-2019-0620", "org-shiqiao"),
    DemoPatient("pat-demo-4", "吴秋月", "Wu Qiuyue", "female", "1971-09-30", "YL-1971-0930", "org-liuwan"),
)

DEVICES = (
    (ECG_DEVICE, "ecg", "十二导联心电图机", "12-lead ECG"),
    (ULTRASOUND_DEVICE, "ultrasound", "便携式超声", "Portable ultrasound"),
)
DEVICES_PLACE = "org-shiqiao"

ON_CALL = {
    "cardiology": ("prc-cardio1", "prc-cardio2"),
    "neurology": ("prc-neuro1",),
    "ultrasound": ("prc-sono1",),
}
"""Who covers what; more than one rotate daily, the others stand behind."""
