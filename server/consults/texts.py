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
