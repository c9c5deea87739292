"""What is refused about rotas, each with a stable code and a sentence in both languages."""

from __future__ import annotations

from media.errors import ErrorCode

UNKNOWN_ZONE = ErrorCode(
    "unknown_zone", 422, "没有这个时区。", "There is no such time zone in the tz database."
)
NO_LAYERS = ErrorCode("no_layers", 422, "值班表至少要有一层。", "A rota needs at least one layer.")
NO_MEMBERS = ErrorCode("no_members", 422, "轮班至少要有一名成员。", "A rotation needs at least one member.")
MEMBER_TWICE = ErrorCode(
    "member_twice", 422, "同一轮班中成员重复。", "A rotation names the same member twice."
)
UNKNOWN_MEMBER = ErrorCode(
    "unknown_member", 422, "没有这名可值班的医生。", "There is no such doctor who could be on call."
)
NOT_OF_SPECIALTY = ErrorCode(
    "not_of_specialty", 422, "该医生不属于此专科。", "This doctor is not of the rota's specialty."
)
SAME_RANK = ErrorCode(
    "same_rank", 422, "同一线的两层优先级相同。", "Two layers of one line have the same rank."
)
LEVELS_SKIP = ErrorCode(
    "levels_skip", 422, "各线须从一线起连续编号。", "Lines are numbered from 1 without leaving one out."
)
SHIFT_TOO_LONG = ErrorCode(
    "shift_too_long",
    422,
    "班次长于轮班周期。",
    "A shift is longer than its rotation.",
)
SHIFT_EMPTY = ErrorCode("shift_empty", 422, "班次时长必须大于零。", "A shift must last some time.")
SHIFT_OUTSIDE = ErrorCode(
    "shift_outside", 422, "班次不在轮班周期之内。", "A shift begins outside its rotation's cycle."
)
TURN_TOO_LONG = ErrorCode("turn_too_long", 422, "每班时间过长。", "A turn lasts too long.")
NO_DAYS = ErrorCode("no_days", 422, "该层没有任何适用的日子。", "This layer stands on no day at all.")
OVERRIDE_ENDS_EARLY = ErrorCode(
    "override_ends_early", 422, "调整的结束时间不晚于开始时间。", "The override ends before it starts."
)
OVERRIDE_OVER = ErrorCode("override_over", 422, "调整的时间已经过去。", "The override lies in the past.")
OVERRIDE_TOO_LONG = ErrorCode("override_too_long", 422, "调整的时间过长。", "The override lasts too long.")
OVERRIDE_INCOMPLETE = ErrorCode(
    "override_incomplete", 422, "请说明谁离开、谁接替。", "Say who goes and who comes."
)
OVERRIDE_WITHOUT_EFFECT = ErrorCode(
    "override_without_effect", 422, "此调整不会改变值班安排。", "This override would change nothing."
)
UNKNOWN_LEVEL = ErrorCode("unknown_level", 422, "值班表没有这一线。", "The rota has no such line.")
ON_LEAVE = ErrorCode("on_leave", 409, "该医生在此期间请假。", "This doctor is on leave at that time.")
LEAVE_ENDS_EARLY = ErrorCode(
    "leave_ends_early", 422, "请假的结束时间不晚于开始时间。", "The leave ends before it starts."
)
LEAVE_TOO_LONG = ErrorCode("leave_too_long", 422, "请假时间过长。", "The leave lasts too long.")
NOT_YOUR_SHIFT = ErrorCode(
    "not_your_shift", 409, "该班次不属于此人。", "This shift does not belong to that person."
)
SWAP_WITH_ONESELF = ErrorCode("swap_with_oneself", 422, "不能与自己换班。", "A swap needs somebody else.")
SWAP_TOO_LATE = ErrorCode("swap_too_late", 409, "班次已经开始。", "The shift has already begun.")
ASKED_ALREADY = ErrorCode(
    "asked_already", 409, "该班次已有待处理的换班申请。", "A swap of this shift is being asked for already."
)
NOT_YOURS_TO_DECIDE = ErrorCode(
    "not_yours_to_decide", 403, "该申请不由您处理。", "This is not yours to decide."
)
GAP_NOT_SEEN = ErrorCode(
    "gap_not_seen",
    409,
    "批准后会出现您还没有看到的无人值班时段，请看过影响再决定。",
    "This would leave gaps that you have not been shown; look at what would change, then decide.",
)
ALREADY_ON_CALL = ErrorCode("already_on_call", 409, "您正在值班。", "You are on call already.")
FEED_UNKNOWN = ErrorCode("feed_unknown", 404, "日历地址无效或已更换。", "This calendar address has ended.")
SCHEDULE_EXISTS = ErrorCode("schedule_exists", 409, "已有同名值班表。", "A rota of this name exists already.")
REASON_REQUIRED = ErrorCode("reason_required", 422, "请说明原因。", "Please give a reason.")
POLICY_INVALID = ErrorCode(
    "policy_invalid", 422, "呼叫升级策略有误。", "The escalation policy cannot work as it stands."
)
