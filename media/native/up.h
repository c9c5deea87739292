/* What goes up to Python: a bounded buffer that one side fills and the other takes whole.
 *
 * The drop rule: nothing that is in it goes; what comes to a full one is dropped and counted. Strangers may fill half
 * of it, packets on their way out through Python (taps, TCP, receivers with numbers of their own) three quarters;
 * only what known peers tell us (checks, DTLS, RTCP) may have the rest. Guarded by the engine's lock. */
#ifndef HUIZHEN_UP_H
#define HUIZHEN_UP_H

#include "addresses.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum up_kind { UP_STUN, UP_DTLS, UP_RTCP, UP_RTP, UP_OUT, UP_EARLY, UP_CONTROL, UP_KINDS };

struct up_record {
    uint32_t size;       /* of the packet that follows, which is padded to a multiple of 8 */
    uint32_t peer;       /* number; ADDRESS_NONE for a stranger */
    uint64_t generation; /* of that number */
    int64_t at_ns;
    struct sockaddr_storage source; /* of UP_STUN and UP_EARLY */
    enum up_kind kind;
};

struct up_buffer {
    uint8_t *filling, *taken;
    size_t room, used;
    uint64_t dropped[UP_KINDS];
};

bool up_init(struct up_buffer *up, size_t room);
void up_free(struct up_buffer *up);
/* A record whose packet has room for `size` bytes; NULL when there is none (counted). Then `up_commit`. */
struct up_record *up_reserve(struct up_buffer *up, enum up_kind kind, size_t size, bool stranger);
/* The reserved record is filled, its size too. */
void up_commit(struct up_buffer *up, const struct up_record *record);
/* All that waits, `*bytes` of it; good until the next call. */
const uint8_t *up_take(struct up_buffer *up, size_t *bytes);

static inline uint8_t *up_packet(struct up_record *record)
{
    return (uint8_t *)(record + 1);
}

static inline size_t up_stride(size_t size)
{
    return sizeof(struct up_record) + (size + 7) / 8 * 8;
}

#endif
