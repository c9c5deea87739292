"""Builds C programs around the rule alone: no Python inside, so that sanitizers see nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from media.native import RULE_LIMITS

HERE = Path(__file__).parent
SOURCES = Path(__file__).parents[3] / "media" / "native"
WITH_PYTHON = frozenset(
    {
        *("rule_module.c", "rule_peers.c", "rule_lines.c"),
        *("rule_producers.c", "rule_layers.c", "rule_subscriptions.c"),
    }
)
SANITIZE = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def compile_program(source: str, to: Path, flags: tuple[str, ...]) -> Path:
    """``tests/media/native/SOURCE`` with the rule, in the folder ``to``; raises CalledProcessError."""
    fields = ", ".join(f".{name} = {value}" for name, value in RULE_LIMITS.items())
    to.joinpath("limits_values.h").write_text(
        f"static const struct rule_limits RULE_LIMITS = {{{fields}}};\n"
    )
    program = to / Path(source).stem
    rule = sorted(path for path in SOURCES.glob("rule*.c") if path.name not in WITH_PYTHON)
    command = ["cc", "-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
    command += [f"-I{SOURCES}", f"-I{to}", str(HERE / source), *map(str, rule), "-lm", "-o", str(program)]
    subprocess.run(command, check=True)
    return program
