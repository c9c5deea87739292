"""Data channels through the router."""

from __future__ import annotations

from typing import Any

import pytest

from media import limits
from media.errors import RemoteProtocolError
from media.relay.data import parse_stream_parameters
from tests.media.relay.helpers import House


def test_messages_reach_every_consumer_in_order() -> None:
    house = House()
    sender, up = house.peer()
    first, first_down = house.peer()
    second, second_down = house.peer()
    producer = sender.produce_data({"streamId": 3, "maxRetransmits": 0}, "pointer", "json")
    consumers = [first.consume_data(producer.id), second.consume_data(producer.id)]
    assert up.streams[3] == (False, 0, None, "pointer", "json")
    assert consumers[0].as_json() == {
        "id": consumers[0].id,
        "dataProducerId": producer.id,
        "sctpStreamParameters": {"streamId": 0, "ordered": False, "maxRetransmits": 0},
        "label": "pointer",
        "protocol": "json",
    }
    up.handlers.data_received(3, "a")
    up.handlers.data_received(3, b"b")
    up.handlers.data_received(4, "nobody's")
    first_down.handlers.data_received(0, "a consumer's stream has no way back")
    assert first_down.data == second_down.data == [(0, "a"), (0, b"b")]
    assert producer.messages == 2


def test_a_full_receiver_misses_a_message_and_nobody_waits() -> None:
    house = House()
    sender, up = house.peer()
    slow, slow_down = house.peer()
    quick, quick_down = house.peer()
    producer = sender.produce_data({"streamId": 0})
    lost = slow.consume_data(producer.id)
    quick.consume_data(producer.id)
    slow_down.accepts = False
    up.handlers.data_received(0, "x")
    assert (lost.messages, lost.dropped) == (1, 1)
    assert quick_down.data == [(0, "x")]


def test_stream_ids_are_used_again() -> None:
    house = House()
    sender, _ = house.peer()
    receiver, down = house.peer()
    producer = sender.produce_data({"streamId": 0, "maxPacketLifeTime": 50})
    other = sender.produce_data({"streamId": 1})
    kept = receiver.consume_data(producer.id)
    gone = receiver.consume_data(other.id)
    assert (kept.parameters.stream_id, gone.parameters.stream_id) == (0, 1)
    assert kept.as_json()["sctpStreamParameters"]["maxPacketLifeTime"] == 50
    gone.close()
    gone.close()
    assert list(down.streams) == [0]
    assert receiver.consume_data(other.id).parameters.stream_id == 1


def test_closing() -> None:
    house = House()
    sender, _ = house.peer()
    receiver, _ = house.peer()
    producer = sender.produce_data({"streamId": 0})
    consumer = receiver.consume_data(producer.id)
    producer.close()
    producer.close()
    assert consumer.closed
    assert house.listener.named("data_consumer_closed") == [("data_consumer_closed", consumer.id)]
    assert house.router.data_producers == {}
    sender.produce_data({"streamId": 0})
    receiver.close()
    sender.close()
    assert house.router.data_producers == {}


@pytest.mark.parametrize(
    "json_form",
    [
        None,
        {},
        {"streamId": -1},
        {"streamId": 65_535},
        {"streamId": "0"},
        {"streamId": 0, "ordered": 1},
        {"streamId": 0, "maxRetransmits": 1, "maxPacketLifeTime": 1},
        {"streamId": 0, "maxRetransmits": 65_536},
    ],
)
def test_malformed_parameters(json_form: Any) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        parse_stream_parameters(json_form)
    assert error.value.code.code == "malformed_sctp_parameters"


def test_bounds() -> None:
    house = House()
    sender, _ = house.peer()
    sender.produce_data({"streamId": 0})
    with pytest.raises(RemoteProtocolError) as error:
        sender.produce_data({"streamId": 0})
    assert error.value.code.code == "duplicate_stream_id"
    for number in range(1, limits.MAX_DATA_PRODUCERS_PER_TRANSPORT):
        sender.produce_data({"streamId": number})
    with pytest.raises(RemoteProtocolError) as error:
        sender.produce_data({"streamId": 100})
    assert error.value.code.code == "limit_reached"
