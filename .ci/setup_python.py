"""Make the virtual environment from the lock file. Runs under the system's Python, standard library only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def need_python() -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if importlib.util.find_spec("ensurepip") is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit("Python's venv module is missing: install the package python3-venv")
    run(["apt-get", "update", "-qq"])
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-venv"])


def run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\nfailed with status {done.returncode}")


def main(venv: Path) -> None:
    need_python()
    print("python: making the environment from requirements.lock", flush=True)
    if not (venv / "bin" / "python").exists():
        run([sys.executable, "-m", "venv", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    run([*pip, "--require-hashes", "-r", "requirements.lock"])
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
