"""Ways in which a signal stream can fail. The code is the contract; the sentences may be polished."""

from __future__ import annotations

from media.errors import ErrorCode

SIGNAL_MALFORMED = ErrorCode("signal_malformed", 400, "信号数据格式不正确。", "The signal data is malformed.")
SIGNAL_TOO_LARGE = ErrorCode("signal_too_large", 413, "信号数据帧过大。", "The signal frame is too large.")
SIGNAL_CRC = ErrorCode(
    "signal_crc", 400, "信号数据校验失败，数据在途中损坏。", "The signal frame was damaged on its way (CRC)."
)
SIGNAL_LEAD_SET_CHANGED = ErrorCode(
    "signal_lead_set_changed",
    409,
    "设备发送的导联与声明的不一致。",
    "The device sends another lead set than it announced.",
)
SIGNAL_RATE_CHANGED = ErrorCode(
    "signal_rate_changed",
    409,
    "设备发送的采样率与声明的不一致。",
    "The device sends another sampling rate than it announced.",
)
SIGNAL_WRONG_STREAM = ErrorCode(
    "signal_wrong_stream",
    409,
    "数据帧不属于已声明的信号流。",
    "The frame belongs to another stream than the one announced.",
)
SIGNAL_CONFLICT = ErrorCode(
    "signal_conflict",
    409,
    "同一序号的数据内容不同：可能有两台设备使用同一信号流。",
    "Another frame has this number already: two devices seem to send one stream.",
)
SIGNAL_OUT_OF_RANGE = ErrorCode(
    "signal_out_of_range",
    422,
    "采样值超出设备声明的范围。",
    "A sample lies outside the range that the device announced.",
)
SIGNAL_CLOCK_JUMP = ErrorCode(
    "signal_clock_jump",
    409,
    "设备时钟发生跳变，时间已重新对齐。",
    "The device's clock was set; its time was aligned anew.",
)
SIGNAL_WINDOW_EXCEEDED = ErrorCode(
    "signal_window_exceeded",
    429,
    "设备发送过快，未等待服务器确认。",
    "The device sends more than it may before an acknowledgement.",
)
SIGNAL_GAP_TOO_LARGE = ErrorCode(
    "signal_gap_too_large",
    409,
    "信号流缺失的数据超出允许范围。",
    "The stream has more missing data than the server can keep account of.",
)
SIGNAL_UNEXPECTED = ErrorCode(
    "signal_unexpected_message",
    409,
    "当前阶段不接受此消息。",
    "This message is not allowed at this point of the conversation.",
)
SIGNAL_TIMEOUT = ErrorCode(
    "signal_timeout", 408, "设备长时间没有发送数据。", "The device was silent for too long."
)
SIGNAL_UNSUPPORTED = ErrorCode(
    "signal_unsupported",
    415,
    "不支持此信号文件。",
    "This signal file cannot be read.",
)
SIGNAL_FILE_UNKNOWN = ErrorCode(
    "signal_file_unknown",
    415,
    "无法识别此文件的格式；支持 DICOM 波形、EDF/EDF+、BDF/BDF+、WFDB、HL7 aECG、"
    "FHIR Observation 和会诊系统导出的 CSV。",
    "The file's format is not known; DICOM waveform, EDF/EDF+, BDF/BDF+, WFDB, HL7 aECG, FHIR Observation "
    "and this system's own CSV are read.",
)
SIGNAL_FILE_BROKEN = ErrorCode(
    "signal_file_broken",
    422,
    "文件已损坏、不完整或与其格式不符。",
    "The file is damaged, incomplete, or not what it says it is.",
)
SIGNAL_FILE_TOO_LARGE = ErrorCode(
    "signal_file_too_large", 413, "信号文件过大。", "The signal file is too large."
)
SIGNAL_FILE_RANGE = ErrorCode(
    "signal_file_range",
    422,
    "文件中的样本超出 16 位范围，无法无损读取。",
    "The file's samples do not fit 16 bits and could not be kept without loss.",
)
SIGNAL_EXPORT_TOO_LONG = ErrorCode(
    "signal_export_too_long",
    413,
    "所选时间段过长，无法以该格式导出；请缩短时间段或选择其他格式。",
    "The period is too long for this format; choose a shorter one or another format.",
)
SIGNAL_EXPORT_EMPTY = ErrorCode(
    "signal_export_empty", 404, "所选时间段内没有信号记录。", "No signal was recorded in this period."
)
SIGNAL_EXPORT_UNFIT = ErrorCode(
    "signal_export_unfit",
    422,
    "该格式无法表示此信号；请选择其他格式。",
    "This format cannot hold this signal; choose another one.",
)
SIGNAL_PAST_RANGE = ErrorCode(
    "signal_past_range",
    422,
    "请求的时间段或导联无效。",
    "This period or lead cannot be asked for.",
)
SIGNAL_PAST_BUSY = ErrorCode(
    "signal_past_busy",
    503,
    "正在读取的历史信号过多，请稍后再试。",
    "Too much of the past is being read; please try again.",
)
SIGNAL_VIEWER_SLOW = ErrorCode(
    "signal_viewer_slow", 429, "接收过慢，连接已断开。", "The viewer reads too slowly and was disconnected."
)
SIGNAL_STREAM_LIMIT = ErrorCode(
    "signal_stream_limit", 429, "信号流数量已达上限。", "The room has as many signal streams as it may."
)
STORE_FULL = ErrorCode(
    "store_full",
    507,
    "服务器存储空间已满，数据保留在设备上。",
    "The server's disk is full; the device keeps the data.",
)
STORE_FAILED = ErrorCode(
    "store_failed", 500, "服务器未能保存信号数据。", "The server could not store the signal data."
)
STORE_DAMAGED = ErrorCode("store_damaged", 500, "已存信号文件损坏。", "The stored signal file is damaged.")
STORE_BUSY = ErrorCode(
    "store_busy", 503, "服务器存储繁忙，请稍后重试。", "The server's disk cannot keep up; try again."
)
