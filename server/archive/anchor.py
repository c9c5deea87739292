"""The anchor of the audit trail: how far it reaches, signed, in a file outside the database.

A chain of hashes shows every change inside it, but not that its end was cut off. So after each commit the
newest entry's number and hash go into ``audit.head`` in the data directory, under an HMAC (RFC 2104) whose
key comes from the server's secret: whoever has the database alone can neither cut the tail nor put one on.

The file is written after the commit and replaced as a whole, without waiting for the disk: a power cut leaves
an older anchor, which still holds. That both were put back to an old copy only a head tells that was
noted elsewhere: `huizhen verify audit --head`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "audit.head"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of the chain."""

    sequence: int
    hash: str


class AnchorForgedError(Exception):
    """The file is there, but nobody with the server's secret wrote it."""


class Anchor:
    """Reads and writes the file.

    :param key: 32 bytes, ``Keys.derive("audit-head")``.
    """

    def __init__(self, directory: Path, key: bytes) -> None:
        self.path = directory / FILE_NAME
        self._key = key

    def read(self) -> Head | None:
        """The anchored head; None without a file. Raises AnchorForgedError."""
        try:
            stored = json.loads(self.path.read_bytes())
            head = Head(int(stored["sequence"]), str(stored["hash"]))
            signature = str(stored["signature"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise AnchorForgedError from None
        if not hmac.compare_digest(signature, self._signature(head)):
            raise AnchorForgedError
        return head

    def write(self, head: Head) -> None:
        """Anchor ``head``, unless the file says more already (another process writes the same trail)."""
        before = self._before()
        if before is not None and before.sequence >= head.sequence:
            return
        stored = {"sequence": head.sequence, "hash": head.hash, "signature": self._signature(head)}
        draft = self.path.with_name(f"{FILE_NAME}.{os.getpid()}.new")
        draft.write_text(json.dumps(stored), "utf-8")
        draft.replace(self.path)

    def set_aside(self, name: str) -> None:
        """Keep a file that does not fit the trail as evidence: ``audit.head.broken-NAME``."""
        self.path.replace(self.path.with_name(f"{FILE_NAME}.broken-{name}"))

    def kept_aside(self) -> list[str]:
        """Names of files that did not fit, the oldest first."""
        return sorted(one.name for one in self.path.parent.glob(f"{FILE_NAME}.broken-*"))

    def _before(self) -> Head | None:
        try:
            return self.read()
        except AnchorForgedError:
            return None

    def _signature(self, head: Head) -> str:
        return hmac.new(self._key, f"{head.sequence}:{head.hash}".encode(), hashlib.sha256).hexdigest()
