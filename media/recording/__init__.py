"""Records the tracks of a room: one file a track, as they were sent, on one time line."""

from media.recording.manifest import Manifest, SignalEntry, TrackEntry
from media.recording.recorder import Recorder
from media.recording.recover import recover, recover_all

__all__ = ["Manifest", "Recorder", "SignalEntry", "TrackEntry", "recover", "recover_all"]
