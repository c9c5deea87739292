"""What people read about timers, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

TIMER_TEXTS: Mapping[str, tuple[str, str]] = {
    # duration name of the state table -> (Chinese, English): what happens when the time is up
    "draft_idle": ("草稿到期", "the draft expires"),
    "triage": ("分诊时限", "triage is due"),
    "information": ("补充资料时限", "the information is due"),
    "at_once": ("立即处理", "at once"),
    "ring": ("呼叫下一位专家", "the next expert is rung"),
    "unfilled_alarm": ("再次提醒值班台", "the desk is alarmed again"),
    "reading": ("开始写意见的时限", "the opinion must be begun"),
    "in_place": ("到位时限", "the expert must be in place"),
    "answer": ("专家答复时限", "the expert's answer is due"),
    "waiting_room_opens": ("等候室开放", "the waiting room opens"),
    "waiting_room": ("候诊时限", "the wait is over"),
    "link_lost": ("连接中断", "the link counts as lost"),
    "telephone_fallback": ("改用电话联系", "fall back to the telephone"),
    "suspended": ("中断处理", "the interruption is settled"),
    "opinion": ("意见时限", "the opinion is due"),
    "critical_acknowledged": ("危急值确认时限", "the critical value must be acknowledged"),
    "acknowledged": ("处置记录时限", "the decision is due"),
    "seat_ring": ("邀请其他科室的专家", "the next expert of an invited specialty is rung"),
    "archived": ("归档", "the record is sealed"),
}

_DESK_AGAIN = ("再次提醒值班台", "the desk is alarmed again")
_EXPERT_AGAIN = ("再次提醒专家和值班台", "the expert and the desk are reminded again")
_REQUESTER_AGAIN = ("再次提醒申请医生和值班台", "the requester and the desk are reminded again")

LIMIT_TEXTS: Mapping[str, tuple[str, str]] = {
    # which limit it is, or was, where that is not what happens then
    **TIMER_TEXTS,
    "at_once": ("处理时限", "the next step is due"),
    "ring": ("本轮呼叫时限", "the ring is to be answered"),
    "unfilled_alarm": ("值班台处理时限", "the desk must see to it"),
    "telephone_fallback": ("恢复连接时限", "the connection must be back"),
    "suspended": ("中断时限", "the interruption must be over"),
    "seat_ring": ("受邀科室应答时限", "the invited specialty is to answer"),
}

REMINDER_TEXTS: Mapping[str, tuple[str, str]] = {
    # what the next reminder does, once a limit has passed and nothing has left the state
    "triage": _DESK_AGAIN,
    "unfilled_alarm": _DESK_AGAIN,
    "waiting_room": _EXPERT_AGAIN,
    "opinion": _EXPERT_AGAIN,
    "critical_acknowledged": _REQUESTER_AGAIN,
    "acknowledged": _REQUESTER_AGAIN,
}


def next_text(timer: str, reminders: int) -> tuple[str, str]:
    """What happens when a timer is due, after so many reminders in this state."""
    return REMINDER_TEXTS.get(timer, TIMER_TEXTS[timer]) if reminders else TIMER_TEXTS[timer]
