"""What the compiled module is made of, as one digest. Standard library alone, for the build runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(media: Path) -> str | None:
    """SHA-256 of all that a build of ``media._native`` depends on; None where the C sources are not there.

    What Python expects of the module is in it: the types, and `media.native` itself.

    :param media: the directory of the package ``media``.
    """
    native = media / "native"
    compiled = sorted(native.glob("*.[ch]"))
    if not compiled:
        return None
    told = hashlib.sha256()
    for path in (*compiled, media / "_native.pyi", native / "__init__.py"):
        if path.exists():
            told.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return told.hexdigest()
