/* Datagrams by batches: an inbox for recvmmsg, and an outbox for sendmmsg that joins runs by UDP_SEGMENT. */
#ifndef HUIZHEN_BATCH_H
#define HUIZHEN_BATCH_H

#include "addresses.h"
#include "srtp.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    DATAGRAM_MOST = 2048, /* as media.limits.MAX_DATAGRAM: what is longer is cut and fails its check */
    DATAGRAM_STRIDE = (DATAGRAM_MOST + SRTP_TRAILER + 63) / 64 * 64,
    BATCH_SLOTS_MOST = 1024,
    SEGMENTS_MOST = 64, /* UDP_MAX_SEGMENTS of the kernel */
    SEGMENT_BYTES_MOST = 65000, /* of one send: below the 65507 of a UDP datagram */
};

#define BATCH_NONE UINT32_MAX

enum datagram_kind { DATAGRAM_GARBAGE, DATAGRAM_STUN, DATAGRAM_DTLS, DATAGRAM_RTP, DATAGRAM_RTCP };

/* RFC 7983 section 7, RFC 5761 section 4: the twin of media.transport.demux.classify. */
enum datagram_kind datagram_classify(const uint8_t *datagram, size_t length);

int64_t monotonic_ns(void);

struct inbox {
    int fd;
    unsigned slots;
    uint8_t *bytes;
    struct mmsghdr *messages;
    struct iovec *vectors;
    struct sockaddr_storage *sources;
};

bool inbox_init(struct inbox *inbox, int fd, unsigned slots);
void inbox_free(struct inbox *inbox);
/* Read up to `most` datagrams without waiting; how many, 0 for none (or an error of an earlier send). */
unsigned inbox_read(struct inbox *inbox, unsigned most);

static inline uint8_t *inbox_bytes(const struct inbox *inbox, unsigned slot)
{
    return inbox->bytes + (size_t)slot * DATAGRAM_STRIDE;
}

static inline uint32_t inbox_length(const struct inbox *inbox, unsigned slot)
{
    return inbox->messages[slot].msg_len;
}

/* Where datagrams go. The chain fields are the outbox's own and empty between flushes. */
struct destination {
    struct sockaddr_storage address;
    socklen_t address_length;
    uint32_t first, last;
};

/* Counted by who sends, without a lock; read by others at any time. */
struct outbox_counters {
    _Atomic uint64_t sent, sent_bytes, blocked, failed, calls;
};

struct outbox {
    int fd;
    unsigned slots, count, prepared;
    bool segments; /* UDP_SEGMENT may be used; cleared when the kernel refuses it */
    uint8_t *bytes;
    struct outbox_item {
        struct destination *to;
        uint32_t length;
        uint32_t next;
    } *items;
    struct mmsghdr *messages;
    struct iovec *vectors;
    uint32_t *firsts; /* item of each message */
    uint8_t *controls;
    struct sockaddr_storage *addresses;
    struct outbox_counters counters;
};

void destination_init(struct destination *to);
bool outbox_init(struct outbox *outbox, int fd, unsigned slots, bool segments);
void outbox_free(struct outbox *outbox);
/* Make messages of all that was added: after this no destination is touched any more. */
void outbox_prepare(struct outbox *outbox);
/* Send what was prepared; nothing is waited for: what the kernel has no room for is dropped and counted. */
void outbox_transmit(struct outbox *outbox);
/* Both. */
void outbox_flush(struct outbox *outbox);

/* There is one who counts: what it read last is what stands there. */
static inline void count_more(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

static inline uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Room of DATAGRAM_STRIDE bytes for the next datagram; flushes when full. Good until the next call. */
static inline uint8_t *outbox_room(struct outbox *outbox)
{
    if (outbox->count == outbox->slots)
        outbox_flush(outbox);
    return outbox->bytes + (size_t)outbox->count * DATAGRAM_STRIDE;
}

/* The datagram in the room goes there; `to` stays where it is until the next flush. */
void outbox_add(struct outbox *outbox, struct destination *to, uint32_t length);

#endif
