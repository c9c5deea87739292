"""How the compiled module is built, and what happens where it cannot be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from media import native
from media.native.sources import digest

ROOT = Path(__file__).resolve().parents[3]
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project in the place of ours."""
    native = tmp_path / "media" / "native"
    native.mkdir(parents=True)
    shutil.copy(ROOT / "media" / "native" / "sources.py", native)
    (native / "one.h").write_text("#define ANSWER 42\n")
    (native / "one.c").write_text('#include "one.h"\nint answer(void) { return ANSWER; }\n')
    return tmp_path


@needs_compiler
def test_builds_once_and_again_when_a_source_or_a_header_changes(hook: ModuleType, tree: Path) -> None:
    assert hook.build(tree)
    assert hook.module_path(tree).exists()
    assert not hook.build(tree)
    (tree / "media" / "native" / "one.h").write_text("#define ANSWER 43\n")
    assert hook.build(tree)
    hook.module_path(tree).unlink()
    assert hook.build(tree)


@needs_compiler
def test_a_warning_is_an_error_in_our_own_check_alone(hook: ModuleType, tree: Path) -> None:
    (tree / "media" / "native" / "two.c").write_text("int two(int unused) { return 2; }\n")
    assert hook.build(tree)
    with pytest.raises(hook.BuildFailedError, match="unused"):
        hook.build(tree, strict=True)
    assert list((tree / "media").glob("_native*")) == [hook.module_path(tree)]


def test_without_a_compiler_it_says_so(hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(hook.BuildFailedError, match="no C compiler"):
        hook.build(tree)


def test_without_headers_it_says_so(hook: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "true")
    monkeypatch.setattr(hook.sysconfig, "get_path", lambda _: str(tree / "nowhere"))
    with pytest.raises(hook.BuildFailedError, match="headers are missing"):
        hook.build(tree)


@needs_compiler
@pytest.mark.parametrize("switch", ["", "0"])
def test_the_wheel_carries_it_unless_told_not_to(
    switch: str, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By hatchling itself, as pip calls it."""
    from hatchling.builders.wheel import WheelBuilder

    monkeypatch.setenv("HUIZHEN_BUILD_NATIVE", switch)
    shutil.copy(ROOT / "hatch_build.py", tree)
    (tree / "media" / "__init__.py").touch()
    (tree / "pyproject.toml").write_text(
        '[project]\nname = "small"\nversion = "1"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.hatch.build.hooks.custom]\n[tool.hatch.build.targets.wheel]\npackages = ["media"]\n'
    )
    wheel = Path(
        next(iter(WheelBuilder(str(tree)).build(directory=str(tmp_path / "out"), versions=["standard"])))
    )
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "_native" in name]
    if switch == "0":
        assert not names
        assert wheel.name.endswith("py3-none-any.whl")
    else:
        assert len(names) == 1
        assert f"cp{sys.version_info.major}{sys.version_info.minor}" in wheel.name
        assert os.sep not in names[0].removeprefix("media/")


def test_a_module_of_other_sources_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an update without a build: its calls would take other arguments."""
    if not native.available():
        pytest.skip(str(native.problem()))
    native.problem.cache_clear()
    monkeypatch.setattr(native.module(), "SOURCES", "0" * 64)
    native.problem.cache_clear()
    try:
        assert native.problem() == "built from other sources than these: build it again (make setup)"
    finally:
        monkeypatch.undo()
        native.problem.cache_clear()
    assert native.problem() is None


def test_its_build_is_the_digest_of_what_stands_here() -> None:
    if not native.available():
        pytest.skip(str(native.problem()))
    here = digest(ROOT / "media")
    assert here is not None
    assert native.build() == here[:12]


def test_one_byte_of_a_source_or_of_its_face_makes_it_another(tree: Path) -> None:
    media = tree / "media"
    seen = {digest(media)}
    for name in ("native/one.c", "native/one.h", "native/two.c", "native/__init__.py", "_native.pyi"):
        with (media / name).open("a") as source:
            source.write(" ")
        seen.add(digest(media))
    (media / "native" / "two.c").rename(media / "native" / "three.c")
    seen.add(digest(media))
    assert len(seen) == 7
    assert None not in seen


def test_without_the_sources_a_module_that_knows_its_own_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As installed by somebody who leaves C out: then module and Python came together."""
    assert digest(tmp_path) is None
    monkeypatch.setattr(native, "digest", lambda _: None)
    assert not native.stale("0" * 64)
    assert native.stale("")
