"""Builds `media._native`, the compiled part of the media plane: hatchling's hook, and a command of its own.

It is optional: without a C compiler or Python's headers there is a warning, and the Python plane runs.
``HUIZHEN_BUILD_NATIVE=0`` leaves it out, ``=1`` makes its failure an error. As a command
(``python hatch_build.py [--strict] [--sanitize | --sanitize-threads]``) it builds for this tree; ``--strict``
is the project's own check (warnings are errors), ``--sanitize`` builds with address and undefined-behaviour
sanitizers, ``--sanitize-threads`` with the one for data races.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SWITCH = "HUIZHEN_BUILD_NATIVE"
_FLAGS = ("-std=c11", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-fno-semantic-interposition", "-pthread")
_STRICT = ("-Wall", "-Wextra", "-Werror")
_SANITIZE = {
    "--sanitize": (
        *("-O1", "-fsanitize=address,undefined"),
        *("-fno-sanitize-recover=all", "-fno-omit-frame-pointer"),
    ),
    "--sanitize-threads": ("-O1", "-fsanitize=thread", "-fno-omit-frame-pointer"),
}


class BuildFailedError(Exception):
    """There is no compiler, no headers, or the compiler refused; the text says which."""


def module_path(root: Path) -> Path:
    """Where the built module of this Python stands."""
    return root / "media" / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(root: Path, strict: bool = False, more: Sequence[str] = ()) -> bool:
    """Build unless what stands there was made of the same sources in the same way; whether it was built.

    :param more: flags of the compiler beside the usual ones.

    :raises BuildFailedError: with the compiler's own words.
    """
    sources = sorted((root / "media" / "native").glob("*.c"))
    command = [*_compiler(), *_FLAGS, *(_STRICT if strict else ()), *more]
    command += [f"-I{_headers()}", f'-DNATIVE_SOURCES="{_digest(root)}"', "-shared", *map(str, sources)]
    target = module_path(root)
    stamp = root / "build" / f"native-{target.name}.sha256"
    made_of = hashlib.sha256("\0".join([sys.version, *command]).encode()).hexdigest()
    if target.exists() and stamp.exists() and stamp.read_text() == made_of:
        return False
    # Replaced at once: a server that runs keeps what it has loaded.
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    done = subprocess.run([*command, "-o", str(fresh)], capture_output=True, text=True, check=False)
    if done.returncode:
        fresh.unlink(missing_ok=True)
        raise BuildFailedError(done.stderr.strip() or f"{command[0]} failed")
    fresh.replace(target)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(made_of)
    return True


def _compiler() -> list[str]:
    words = shlex.split(os.environ.get("CC") or "cc")
    try:
        subprocess.run([*words, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildFailedError(f"no C compiler ({words[0]})") from error
    return words


def _headers() -> str:
    folder = sysconfig.get_path("include")
    if not (Path(folder) / "Python.h").exists():
        raise BuildFailedError(f"Python's headers are missing ({folder}; package python3-dev)")
    return folder


def _digest(root: Path) -> str:
    """Compiled in; `media.native` refuses a module that is not of the sources beside it."""
    told = runpy.run_path(str(root / "media" / "native" / "sources.py"))["digest"](root / "media")
    return str(told or "")


class NativeBuildHook(BuildHookInterface[Any]):
    """Puts the module into wheels, and beside its sources for an editable installation."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is put together."""
        switch = os.environ.get(_SWITCH, "")
        if self.target_name != "wheel" or switch == "0":
            return
        root = Path(self.root)
        try:
            build(root)
        except BuildFailedError as error:
            if switch == "1":
                raise
            self.app.display_warning(f"media._native is left out, the Python plane will run: {error}")
            return
        module = module_path(root)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version != "editable":
            build_data["force_include"][str(module)] = f"media/{module.name}"


def main() -> None:
    """Build for this tree, and say what was done."""
    words = set(sys.argv[1:])
    sanitizers = words & set(_SANITIZE)
    if words - {"--strict", *_SANITIZE} or len(sanitizers) > 1:
        sys.exit(__doc__)
    more = _SANITIZE[sanitizers.pop()] if sanitizers else ()
    try:
        built = build(Path(__file__).resolve().parent, "--strict" in words, more)
    except BuildFailedError as error:
        if words or os.environ.get(_SWITCH) == "1":
            sys.exit(f"media._native was not built:\n{error}")
        module_path(Path(__file__).resolve().parent).unlink(missing_ok=True)  # it is of other sources
        print(f"warning: media._native was not built, the Python plane will run:\n{error}", file=sys.stderr)
        return
    print("media._native: built" if built else "media._native: up to date")


if __name__ == "__main__":
    main()
