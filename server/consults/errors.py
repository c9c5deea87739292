"""Error codes of consults.

::

    RemoteProtocolError
    └── ActionRefused       the table does not allow it: the one error of `states.apply`
        └── AlreadyTaken    another expert was first; says who
"""

from __future__ import annotations

from typing import Any

from media.errors import WRONG_STATE, ErrorCode, RemoteProtocolError
from server.consults.limits import VOICE_NOTE_S
from server.errors import FORBIDDEN, VERSION_CONFLICT

INCOMPLETE = ErrorCode("incomplete", 422, "还缺少必填内容。", "Something required is still missing.")
ALREADY_TAKEN = ErrorCode("already_taken", 409, "该会诊已由他人接诊。", "Somebody else has already accepted.")
RING_OVER = ErrorCode("ring_over", 409, "呼叫已结束。", "This ring is over.")
NOT_FOUND = ErrorCode("not_found", 404, "找不到该会诊。", "No such consult.")
NO_SUCH_PATIENT = ErrorCode("no_such_patient", 422, "找不到该患者。", "No such patient.")
NO_SUCH_DEVICE = ErrorCode("no_such_device", 422, "找不到该设备。", "No such device.")
NO_SUCH_SPECIALTY = ErrorCode("no_such_specialty", 422, "没有该专科。", "No such specialty.")
WRONG_PASSWORD = ErrorCode("wrong_password", 403, "签名密码不正确。", "The signing password is wrong.")
PASSWORD_REQUIRED = ErrorCode("password_required", 422, "签名需要密码。", "Signing needs the password.")
OPINION_SIGNED = ErrorCode(
    "opinion_signed",
    409,
    "意见已签名，只能补充说明。",
    "The opinion is signed; only an addendum can be added.",
)
GUEST_LINK_ENDED = ErrorCode("guest_link_ended", 410, "邀请链接已失效。", "This invitation has ended.")
GUEST_LINK_UNKNOWN = ErrorCode("guest_link_unknown", 404, "邀请链接不存在。", "No such invitation.")
ROOM_NOT_OPEN = ErrorCode("room_not_open", 409, "会诊室尚未开放。", "The room is not open yet.")
TOO_MANY_LINKS = ErrorCode("too_many_links", 429, "邀请链接过多。", "Too many invitations.")
TOO_MANY_ADDENDA = ErrorCode("too_many_addenda", 429, "补充说明过多。", "Too many addenda.")
NO_KNOWN_MATERIAL = ErrorCode(
    "no_known_material",
    422,
    "只能添加图片（JPEG、PNG）、PDF、DICOM 或心电文件（EDF、WFDB、HL7 aECG、CSV、FHIR），且文件须完整。",
    "Only pictures (JPEG, PNG), PDF, DICOM and ECG files (EDF, WFDB, HL7 aECG, CSV, FHIR), and whole ones.",
)
UPLOAD_GONE = ErrorCode(
    "upload_gone", 410, "该文件已不再保留，请重新发送。", "The file is no longer held; send it again."
)
TOO_MANY_MATERIALS = ErrorCode("too_many_materials", 429, "资料过多。", "Too many materials.")
TOO_MANY_MESSAGES = ErrorCode("too_many_messages", 429, "留言过多。", "Too many messages.")
REASON_TOO_SHORT = ErrorCode(
    "reason_too_short", 422, "请写明紧急查看的原因。", "Say why this has to be opened in an emergency."
)
NO_SUCH_BREAK_GLASS = ErrorCode(
    "no_such_break_glass", 404, "没有这条紧急查看记录。", "There is no such emergency access."
)
ALREADY_REVIEWED = ErrorCode(
    "already_reviewed", 409, "该紧急查看已复核。", "This emergency access has been reviewed already."
)
NO_SUCH_STAGE = ErrorCode(
    "no_such_stage", 422, "没有该时间节点，或时间在将来。", "No such stage, or its time is still to come."
)
NO_TIME_TO_PLAN = ErrorCode(
    "no_time_to_plan",
    422,
    "预约时间须在今后一年以内。",
    "A planned time lies ahead, within a year.",
)
NOBODY_ON_CALL = ErrorCode(
    "nobody_on_call", 409, "目前没有可呼叫的值班专家。", "There is nobody on call who could be rung."
)


VOICE_NOTE_TOO_LONG = ErrorCode(
    "voice_note_too_long",
    422,
    f"语音说明最长 {VOICE_NOTE_S} 秒，请分段录制。",
    f"A voice note lasts {VOICE_NOTE_S} s at most; record several.",
)

NO_PICTURES = ErrorCode(
    "no_pictures",
    422,
    "这个文件里没有可以显示的图像。",
    "There are no pictures in this file that can be shown.",
)
PICTURES_TOO_LARGE = ErrorCode(
    "pictures_too_large",
    422,
    "图像太大，无法在页面里显示，请下载后用专用软件打开。",
    "The pictures are too large to be shown on the page; download the file and open it with a viewer.",
)

__all__ = ["FORBIDDEN", "VERSION_CONFLICT", "WRONG_STATE"]


class ActionRefused(RemoteProtocolError):
    """The table does not allow this action here, now, by this person, or with this data."""


class AlreadyTaken(ActionRefused):
    """Another expert accepted first.

    :param by: JSON of the practitioner who did (id, name); shown to the loser, never logged.
    """

    def __init__(self, by: dict[str, Any]) -> None:
        super().__init__(ALREADY_TAKEN)
        self.by = by

    @property
    def extensions(self) -> dict[str, Any]:
        """Members added to the problem document (RFC 9457 section 3.2)."""
        return {"by": self.by}

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), **self.extensions}
