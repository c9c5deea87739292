"""What goes first of what waits for the pace, and what goes again, on counted time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.limits import PACE_TURN_S, RELAY_HISTORY_S
from media.ortc import router_rtp_capabilities
from media.relay import Consumer
from media.rtp import rtcp
from tests.media.relay.bottleneck import Line
from tests.media.relay.helpers import VP8_SIMULCAST, House, Layer, plis, received, simulcast, vp8_single
from tests.media.relay.test_downstream import Village, steps

__all__ = ["House"]  # both planes


def longest_gap(village: Village, consumer: Consumer, since: float) -> float:
    """Seconds between two packets at the receiver, the last one until now."""
    came = [at for at, _, ssrc in village.far.sizes if ssrc == consumer.ssrc and at > since]
    return max(b - a for a, b in pairwise([since, *came, village.now]))


@pytest.mark.parametrize("phase", [0.02, 0.08])
@pytest.mark.parametrize("room_phase", [0.0, 0.2, 0.3, 0.42, 0.6, 0.8])
def test_a_camera_does_not_stand_behind_an_ultrasound_while_the_line_narrows(
    phase: float, room_phase: float
) -> None:
    """The ultrasound takes all that the draining queue leaves: without turns the camera stands for 1.1 to 2.5
    s, and four key frames are asked for while the first one waits. Whenever the room shares out its lines:
    where the camera's own key frame counted in its price it was paused 0.8 s later, for 2 s."""
    village = Village(Line(steps((0, 20e6), (10 + phase, 240_000)), queue_s=0.3), room_phase)
    ultrasound = village.track("ultrasound", 340_000, fps=20, temporal=True)
    camera = village.camera((100_000, 170_000, 260_000), fps=20, temporal=True)
    village.voice()
    village.run(10 + phase)
    asked, began = len(plis(village.up)), village.now
    village.run(3)
    assert longest_gap(village, camera, began) < 0.6
    assert longest_gap(village, ultrasound, began) < 0.7
    assert village.layer_of(camera) == 0
    assert len(plis(village.up)) - asked <= 2


class Narrow:
    """An ultrasound and a simulcast camera to one receiver, whose pace is narrow from now on."""

    def __init__(self, bps: int = 100_000) -> None:
        self.house = House()
        sender, self.up = self.house.peer()
        receiver, self.down = self.house.peer()
        picture = sender.produce("video", vp8_single(), "ultrasound")
        camera = sender.produce("video", VP8_SIMULCAST, "camera")
        self.ultrasound = receiver.consume(picture.id, router_rtp_capabilities(), paused=False)
        self.camera = receiver.consume(camera.id, router_rtp_capabilities(), paused=False)
        self.scan = Layer(self.up, self.house, 500, "", 1, 1)
        self.scan.named = False
        self.layers = simulcast(self.house, self.up)
        self.path = receiver.outlet.path
        for layer in (self.scan, *self.layers):
            layer.frame(key=True)
        assert self.layer == 2
        self.path.set_target(bps, 0.0)
        self.scan.size = 20_000
        self.scan.frame()  # more than may leave at once: the rest waits
        assert bps > 1_000_000 or self.path.waiting > 10

    @property
    def layer(self) -> int | None:
        layers = self.camera.current_layers
        return None if layers is None else layers[0]

    def asked(self, layer: int) -> int:
        return plis(self.up).count(self.layers[layer].ssrc)

    def left(self, seconds: float) -> list[int]:
        """The SSRCs of what leaves meanwhile."""
        before = len(self.down.rtp)
        self.house.run(seconds)
        return [packet.ssrc for packet in received(self.down)[before:]]

    def nack(self, *sequences: int) -> None:
        self.down.handlers.rtcp_received(
            rtcp.pack(rtcp.Nack(1, self.ultrasound.ssrc, sequences)), self.house.now
        )


def test_a_key_frame_that_a_switch_waits_for_goes_first_and_is_asked_for_once() -> None:
    narrow = Narrow()
    narrow.layers[2].frame()  # waits, and is old once the other layer's key frame is there
    narrow.camera.set_preferred_layers(0)
    asked = narrow.asked(0)
    narrow.layers[0].size = 2000
    key = narrow.layers[0].frame(key=True)
    narrow.layers[0].frame()
    narrow.layers[2].frame()
    before = narrow.path.waiting
    left = narrow.left(0.5)
    assert left[: len(key)] == [narrow.camera.ssrc] * len(key)
    assert narrow.ultrasound.ssrc in left
    assert narrow.layer == 0
    narrow.house.run(3)
    assert narrow.asked(0) == asked
    assert narrow.path.waiting < before
    numbers = [packet.sequence for packet in received(narrow.down, narrow.camera.ssrc)]
    assert numbers == [(numbers[0] + index) & 0xFFFF for index in range(len(numbers))]


def test_another_wish_ends_what_has_begun() -> None:
    """The layer that was left before its key frame could leave begins with a key frame of its own."""
    narrow = Narrow()
    narrow.camera.set_preferred_layers(0)
    narrow.layers[0].frame(key=True)
    assert narrow.layer is None
    asked = narrow.asked(2)
    narrow.camera.set_preferred_layers(2)
    narrow.house.run(0.05)
    assert narrow.asked(2) == asked + 1
    narrow.layers[2].frame()  # not a key frame: nobody could use it
    narrow.house.run(3)
    assert narrow.layer is None
    narrow.layers[2].frame(key=True)
    narrow.house.run(1)
    assert narrow.layer == 2


def test_what_waits_of_a_track_that_is_paused_is_left_out() -> None:
    narrow = Narrow()
    before = narrow.path.left_out
    narrow.ultrasound.pause()
    assert narrow.path.waiting == 0
    assert narrow.path.left_out > before + 10


def test_what_matters_less_has_its_turn() -> None:
    narrow = Narrow()
    for layer in narrow.layers:
        layer.frame()
    waits = len(narrow.layers[2].packets())  # of one frame
    left = narrow.left(PACE_TURN_S - 0.05)
    assert set(left) == {narrow.ultrasound.ssrc}
    left = narrow.left(0.4)
    assert left.count(narrow.camera.ssrc) == waits
    first = left.index(narrow.camera.ssrc)
    assert left[first : first + waits] == [narrow.camera.ssrc] * waits  # a frame is not divided
    assert left[-1] == narrow.ultrasound.ssrc


def test_what_waits_to_be_sent_again_waits_once() -> None:
    narrow = Narrow()
    sequence = received(narrow.down, narrow.ultrasound.ssrc)[0].sequence
    rtx = narrow.ultrasound.parameters.encodings[0].rtx_ssrc
    for _ in range(5):
        narrow.nack(sequence)
        narrow.house.clock.advance(0.03)
    assert narrow.left(1.0).count(rtx or 0) == 1


def test_what_stands_in_the_line_is_not_sent_again() -> None:
    narrow = Narrow(20_000_000)
    narrow.house.run(1)
    sequence = received(narrow.down, narrow.ultrasound.ssrc)[-1].sequence
    narrow.path.set_target(20_000_000, 0.25)
    before = len(narrow.down.rtp)
    for _ in range(10):
        narrow.nack(sequence)
        narrow.house.run(0.05)
    assert len(narrow.down.rtp) == before + 2  # at once, and when it should have come


def test_a_key_frame_is_asked_for_when_what_is_missed_is_gone() -> None:
    narrow = Narrow(20_000_000)
    lost = received(narrow.down, narrow.ultrasound.ssrc)[-1].sequence
    for _ in range(round(RELAY_HISTORY_S / 0.05) + 2):
        narrow.scan.size = 300
        narrow.scan.frame()
        narrow.house.run(0.05)
    asked = plis(narrow.up).count(500)
    narrow.nack(lost)
    narrow.house.run(0.01)
    assert plis(narrow.up).count(500) == asked + 1
    narrow.scan.frame(key=True)
    narrow.nack(lost)  # before the key frame is there
    narrow.house.run(1)
    assert plis(narrow.up).count(500) == asked + 1
