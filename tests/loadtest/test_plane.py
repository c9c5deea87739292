"""Reports name the plane that ran; figures of another program are refused."""

from __future__ import annotations

import pytest

from loadtest.plane import judge
from loadtest.server_process import ServerFailedError

HERE = "0123456789ab" + "c" * 52


def test_the_plane_is_the_servers_own_word() -> None:
    assert judge("python", "", "auto", HERE) == {"plane": "python"}
    assert judge("native", "0123456789ab", "auto", HERE) == {
        "plane": "native",
        "native_build": "0123456789ab",
    }
    assert judge("native", "0123456789ab", "native", None)["native_build"] == "0123456789ab"


@pytest.mark.parametrize(
    ("plane", "build", "asked", "message"),
    [
        ("python", "", "native", "the native plane was asked for and the python plane runs"),
        ("native", "0123456789ab", "python", "the python plane was asked for and the native plane runs"),
        ("native", "ffff56789abc", "auto", "of build ffff56789abc, the sources here are 0123456789ab"),
        ("native", "", "native", "of build unknown"),
    ],
)
def test_another_program_is_refused(plane: str, build: str, asked: str, message: str) -> None:
    with pytest.raises(ServerFailedError, match=message):
        judge(plane, build, asked, HERE)
