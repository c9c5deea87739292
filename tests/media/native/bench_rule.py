"""Nanoseconds of CPU that the rule alone takes for each packet that leaves: no crypto, no sockets, no Python.

    .venv/bin/python -m tests.media.native.bench_rule

One line of JSON: for each size and fan-out the median of the runs. The copy of the packet into the room that
is encrypted is in it, and everything that is kept of it: history, numbers, pace, feedback.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from tests.media.native.compiled import compile_program

RUNS = 9


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = compile_program("rule_bench.c", Path(folder), ("-O2",))
        figures = {}
        for size in (1200, 160):
            for fan_out in (1, 3, 10, 40):
                command = [str(program), str(fan_out), str(size)]
                runs = [float(subprocess.check_output(command)) for _ in range(RUNS)]
                figures[f"{size}B x{fan_out}"] = round(median(runs), 1)
    print(json.dumps({"ns_per_egress_packet": figures}))


if __name__ == "__main__":
    main()
