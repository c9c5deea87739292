"""The instructions of a thread, as the processor counts them: a cost that other work does not change."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Self

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _INSTRUCTIONS = 0, 1
_EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 5, 1 << 6
_ATTR_BYTES = 64  # PERF_ATTR_SIZE_VER0


class Instructions:
    """perf_event_open(2) of the thread that makes it, user space alone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def count(cls) -> Self | None:
        """None where the machine or its administrator gives no counters."""
        number = _PERF_EVENT_OPEN.get(os.uname().machine)
        if number is None:
            return None
        flags = _EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR
        attributes = struct.pack("=IIQQQQQ", _HARDWARE, _ATTR_BYTES, _INSTRUCTIONS, 0, 0, 0, flags)
        buffer = ctypes.create_string_buffer(attributes, _ATTR_BYTES)
        opened = ctypes.CDLL(None, use_errno=True).syscall(number, buffer, 0, -1, -1, 0)
        return cls(opened) if opened >= 0 else None

    def read(self) -> int:
        """Since it was made."""
        return int.from_bytes(os.read(self._descriptor, 8), "little")

    def close(self) -> None:
        os.close(self._descriptor)
