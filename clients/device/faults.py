"""What ends a gateway, in words for the person beside it, and the exit status that says which.

::

    0  the record is over, or it was told to stop
    2  the options or the file are of no use
    3  the server refused: token, grant, or what was sent
    4  the gateway's own disk failed
"""

from __future__ import annotations

from dataclasses import dataclass

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_DISK = 4


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    zh: str
    en: str

    def read(self, lang: str) -> str:
        """The sentence in ``lang``, English for anything but ``zh``."""
        return self.zh if lang == "zh" else self.en


class DeviceFault(Exception):
    """The gateway cannot go on."""

    def __init__(self, exit_code: int, text: Text, detail: str = "") -> None:
        super().__init__(f"{text.en} {detail}".strip())
        self.exit_code = exit_code
        self.text = text
        self.detail = detail

    def read(self, lang: str) -> str:
        """The sentence, with the detail behind it."""
        return f"{self.text.read(lang)} {self.detail}".strip()


NO_TOKEN = Text(
    "请用 --token 提供设备令牌，或用 --room-token 提供会诊室令牌。",
    "Give a device token with --token, or a room token with --room-token.",
)
BAD_ROOM_TOKEN = Text("会诊室令牌无法读取。", "The room token cannot be read.")
FILE_MISSING = Text("找不到文件：", "There is no such file:")
FILE_UNREADABLE = Text("无法读取该文件：", "The file cannot be read:")
CA_OR_INSECURE = Text("--ca 与 --insecure 只能选一个。", "Give --ca or --insecure, not both.")
CA_UNREADABLE = Text("无法读取证书文件：", "The certificate file cannot be read:")
OUTBOX_BUSY = Text("另一个设备程序正在使用此缓存目录：", "Another gateway uses this outbox directory:")
OUTBOX_FAILED = Text("设备缓存目录无法写入：", "The outbox cannot be written:")
OUTBOX_FULL = Text(
    "设备缓存已满，此后的数据未保留。", "The outbox is full; what is measured now is not kept."
)
TOO_MANY_SIGNALS = Text("信号种类过多，最多：", "The source has too many signals; at most:")
SIGNAL_CHANGED = Text(
    "信号源的采样率或标度已改变，已开始新的信号流：",
    "The source changed its rate or scale; a new stream began:",
)
SOURCE_LOST = Text("与信号源的连接中断，正在重连：", "The source is lost, connecting again:")
SOURCE_UNKNOWN = Text("无法识别的信号源：", "There is no such source:")
FILE_OR_SOURCE = Text("--file 与 --source 只能选一个。", "Give --file or --source, not both.")
FEED_MALFORMED = Text("信号源的数据无法使用，未保留：", "The source's data cannot be used and is not kept:")
EXTRA_MISSING = Text("缺少此信号源所需的组件：", "What this source needs is not installed:")
OUTBOX_DAMAGED = Text(
    "设备缓存损坏，部分数据丢失（已记入记录），帧数：",
    "The outbox is damaged; frames that are lost, as the record says:",
)
STREAM_BROKEN = Text(
    "服务器缺少已确认的数据，此信号流不能继续。",
    "The server lost data it had confirmed; this stream cannot go on.",
)
REFUSED = Text("服务器拒绝：", "The server refused:")

WAITING = Text("在线，等待会诊", "online, waiting for a consult")
OFFLINE = Text("离线，正在重连", "offline, connecting again")
UNTRUSTED = Text(
    "离线：服务器证书不受信任（用 --ca 给出证书文件；试用时可用 --insecure）",
    "offline: the server's certificate is not trusted (give its file with --ca; --insecure for a trial)",
)
CONNECTING = Text("正在连接", "connecting")
SENDING = Text("正在发送", "sending")
ENDED = Text("已结束", "ended")
RELEASED = Text("会诊结束", "the consult is over")
UNCONFIRMED = Text("待确认", "to be confirmed")
CONFIRMED = Text("已确认", "confirmed")
SECONDS = Text("秒", "s")
ECG = Text("心电", "ECG")
ULTRASOUND = Text("超声", "Ultrasound")
