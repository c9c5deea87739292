"""Millions of packets that are nearly right through the compiled rule, under sanitizers.

    .venv/bin/python -m tests.media.native.fuzz --inputs 5000000 --seed 1

Prints one line of JSON; any report of a sanitizer, or a packet not given back, ends it with a failure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from tests.media.native.compiled import SANITIZE, compile_program


def fuzz(inputs: int, seed: int, to: Path) -> str:
    """The program's last words. Raises CalledProcessError when it failed."""
    program = compile_program("rule_fuzz.c", to, SANITIZE)
    # It has sanitizers of its own; ours, under `make sanitize-threads`, do not go with them.
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [str(program), str(inputs), str(seed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=alone)
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(fuzz(arguments.inputs, arguments.seed, Path(folder)))


if __name__ == "__main__":
    main()
