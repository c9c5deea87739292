"""Makes consumers: negotiation, and the numbers that are chosen by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.errors import LIMIT_REACHED, RemoteProtocolError
from media.limits import MAX_CONSUMERS_PER_PRODUCER
from media.ortc import ConsumerIdentity, RtpCapabilities, consumer_parameters
from media.relay.consumer import Consumer, ConsumerOwner
from media.relay.producer import Producer

if TYPE_CHECKING:
    from media.relay.router import Router


def make_consumer(
    router: Router,
    owner: ConsumerOwner,
    producer: Producer,
    capabilities: RtpCapabilities,
    mid: str,
    paused: bool,
) -> Consumer:
    """Negotiate and make a consumer; the producer knows it from now on.

    :raises RemoteProtocolError: cannot_consume, limit_reached.
    """
    if len(producer.consumers) >= MAX_CONSUMERS_PER_PRODUCER:
        raise RemoteProtocolError(LIMIT_REACHED, f"at most {MAX_CONSUMERS_PER_PRODUCER} of one track")
    consumable = producer.consumable
    identity = ConsumerIdentity(
        ssrc=router.new_ssrc(),
        rtx_ssrc=router.new_ssrc(),
        mid=mid,
        cname=consumable.cname or producer.id,
        msid=consumable.msid,
    )
    parameters = consumer_parameters(consumable, capabilities, identity)
    first = (router.new_sequence(), router.new_sequence())
    consumer = Consumer(router.new_id(), owner, producer, parameters, paused, first)
    producer.consumers[consumer.id] = consumer
    router.consumer_made()
    return consumer
