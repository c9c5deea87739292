"""The configuration: defaults, file, environment, and a sample that is its manual."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from media.errors import LocalProtocolError
from server.config import Config, load_config, sample_toml

SAMPLE = Path(__file__).parents[3] / "docs" / "huizhen.sample.toml"


def test_without_a_file_everything_has_a_default() -> None:
    assert load_config(None, {}) == Config()


def test_the_sample_in_docs_is_what_the_code_says() -> None:
    """Renew it with ``huizhen config > docs/huizhen.sample.toml``."""
    assert SAMPLE.read_text("utf-8") == sample_toml()


def test_the_sample_spells_out_the_defaults() -> None:
    assert load_config(SAMPLE, {}) == Config()


def test_every_field_of_the_sample_has_its_sentence() -> None:
    lines = sample_toml().splitlines()
    fields = [n for n, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(fields) == sum(len(section) for section in tomllib.loads(sample_toml()).values())
    assert all(lines[n - 1].startswith("# ") and len(lines[n - 1]) > 10 for n in fields)


def test_a_file_and_the_environment_above_it(tmp_path: Path) -> None:
    path = tmp_path / "huizhen.toml"
    path.write_text('[http]\nport = 9000\nhost = "0.0.0.0"\n', "utf-8")
    environment = {"HUIZHEN_HTTP_PORT": "9001", "HUIZHEN_MEDIA_ANNOUNCED_ADDRESSES": "192.0.2.1, 192.0.2.2"}
    config = load_config(path, environment)
    assert (config.http.host, config.http.port) == ("0.0.0.0", 9001)
    assert config.media.announced_addresses == ("192.0.2.1", "192.0.2.2")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ("[htttp]\nport = 1\n", "htttp"),
        ('[http]\nport = "x"\n', "port"),
        ("[http]\nport = true\n", "port"),
        ("[media]\nannounced_addresses = [1]\n", "announced_addresses"),
        ("[oncall]\nring_seconds = 0\n", "ring_seconds is below 1"),
        (
            '[site]\nzone = "Asia/Nowhere"\n',
            "no Area/City named 'Asia/Nowhere'",
        ),
        ('[site]\nzone = "localtime"\n', "zone: the tz database has no"),
        ('[site]\nzone = ""\n', "zone: the tz database has no"),
        ("port = 1\n", "port"),
        ("[http\n", "huizhen.toml"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "huizhen.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(LocalProtocolError, match=named):
        load_config(path, {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="absent"):
        load_config(tmp_path / "absent.toml", {})
