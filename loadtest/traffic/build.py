"""Compiles the packet engine (C11, libc and pthread alone) once and keeps it in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared", "-pthread")


class CompilerMissingError(Exception):
    """There is no C compiler; load needs one, the server does not."""


def compiler() -> str | None:
    """A C compiler of this machine."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def library() -> Path:
    """The shared library made of the sources as they are now.

    :raises CompilerMissingError: with what to install.
    :raises subprocess.CalledProcessError: the sources do not compile.
    """
    files = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files) + " ".join(FLAGS).encode())
    path = _cache() / f"traffic-{digest.hexdigest()[:16]}.so"
    if path.exists():
        return path
    command = compiler()
    if command is None:
        raise CompilerMissingError("a C compiler is missing: install the package gcc (and libc6-dev)")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a second run must never load half a library.
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        made = Path(directory) / path.name
        sources = [str(file) for file in files if file.suffix == ".c"]
        subprocess.run([command, *FLAGS, "-o", str(made), *sources, "-lm"], check=True)
        made.replace(path)
    return path


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huizhen"
