"""How the compiled module is built, and what happens where it cannot be."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from media import native
from media.clock import SystemClock
from media.errors import LocalProtocolError
from media.native.sources import digest
from media.transport.media_config import MediaSocketConfig
from media.transport.media_socket import MediaSocket
from media.transport.srtp import SrtpProfile

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


@pytest.fixture
def unproven() -> Iterator[None]:
    """The compiled module is looked at anew, then and after the test."""
    if not native.available():
        pytest.skip(str(native.problem()))
    native.problem.cache_clear()
    yield
    native.problem.cache_clear()
    assert native.problem() is None


@pytest.mark.usefixtures("unproven")
@pytest.mark.parametrize("declared", [None, lambda: 0], ids=["gone", "another type"])
def test_a_libsrtp_that_is_declared_in_another_way_is_refused(
    declared: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls by address with other arguments would write into memory that is not theirs."""
    with monkeypatch.context() as patched:
        patched.setattr(native, "lib", SimpleNamespace(srtp_protect=declared))
        patched.setattr("media.native.ffi", SimpleNamespace(typeof=lambda _: "<ctype 'int(*)(void *)'>"))
        assert native.problem() == "pylibsrtp declares srtp_protect in another way"


@pytest.mark.usefixtures("unproven")
@pytest.mark.parametrize("direction", ["rtp", "rtcp"])
def test_a_module_that_gives_one_other_byte_fails_the_self_test(
    direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = native._srtp

    def wrong(compiled: Any, profile: SrtpProfile, key: bytes, outbound: bool) -> Any:
        made = honest(compiled, profile, key, outbound)

        def flipped(packet: bytes) -> bytes:
            given: bytes = getattr(made, direction)(packet)
            return given[:-1] + bytes((given[-1] ^ 1,))

        names: dict[str, Any] = {"rtp": made.rtp, "rtcp": made.rtcp}
        return SimpleNamespace(**names | ({direction: flipped} if outbound else {}))

    with monkeypatch.context() as patched:
        patched.setattr(native, "_srtp", wrong)
        told = native.problem()
        assert told is not None
        assert told.startswith("the self-test of ")
        assert told.endswith(" gave other bytes than pylibsrtp")


@pytest.mark.usefixtures("unproven")
async def test_what_fails_its_self_test_leaves_the_python_plane_and_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(native, "stale", lambda _: True)
        opened = await MediaSocket.open(MediaSocketConfig("127.0.0.1", plane="auto"), SystemClock())
        await opened.close()
        assert opened.plane == "python"
        assert "the Python plane runs, the compiled one cannot be used: built from other" in caplog.text
        with pytest.raises(LocalProtocolError, match="built from other sources"):
            await MediaSocket.open(MediaSocketConfig("127.0.0.1", plane="native"), SystemClock())


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
