/* The outbox alone, for tests: `count` datagrams of these lengths, each full of its own number, to these places. */
#include "batch.c"

int batch_sends(int fd, bool segments, const struct sockaddr_in *places, int places_count, const int *to,
                const int *lengths, int count, uint64_t *calls, uint64_t *sent)
{
    struct destination destinations[8];
    struct outbox outbox;
    if (places_count > 8 || !outbox_init(&outbox, fd, 256, segments))
        return -1;
    for (int place = 0; place < places_count; place++) {
        destination_init(&destinations[place]);
        memcpy(&destinations[place].address, &places[place], sizeof places[place]);
        destinations[place].address_length = sizeof places[place];
    }
    for (int number = 0; number < count; number++) {
        memset(outbox_room(&outbox), number, (size_t)lengths[number]);
        outbox_add(&outbox, &destinations[to[number]], (uint32_t)lengths[number]);
    }
    outbox_flush(&outbox);
    *calls = counted(&outbox.counters.calls);
    *sent = counted(&outbox.counters.sent);
    int left = outbox.segments;
    outbox_free(&outbox);
    return left;
}
