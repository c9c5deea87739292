"""ECG and other sampled signals: wire frame, ledger of what is durable, store, live view."""

from media.signals.descriptor import Lead, StreamDescriptor
from media.signals.fanout import SignalFanout, ViewerQueue
from media.signals.frames import FLAG_BACKFILL, FLAG_DELTA, FLAG_SEAM, Frame, decode, encode, read_header
from media.signals.ledger import StreamLedger
from media.signals.publish import Close, Lose, Mark, Open, Output, PublishSession, Send, Store
from media.signals.replay import StoredStream
from media.signals.store import SignalStore, StreamLog

__all__ = [
    "FLAG_BACKFILL",
    "FLAG_DELTA",
    "FLAG_SEAM",
    "Close",
    "Frame",
    "Lead",
    "Lose",
    "Mark",
    "Open",
    "Output",
    "PublishSession",
    "Send",
    "SignalFanout",
    "SignalStore",
    "Store",
    "StoredStream",
    "StreamDescriptor",
    "StreamLedger",
    "StreamLog",
    "ViewerQueue",
    "decode",
    "encode",
    "read_header",
]
