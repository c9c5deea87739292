#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { CONTROL_SIZE = 64 }; /* of one message: the segment size, aligned */

_Static_assert(CONTROL_SIZE >= CMSG_SPACE(sizeof(uint16_t)), "control room");

enum datagram_kind datagram_classify(const uint8_t *datagram, size_t length)
{
    if (length < 8)
        return DATAGRAM_GARBAGE;
    uint8_t first = datagram[0];
    if (first <= 3)
        return DATAGRAM_STUN;
    if (first >= 20 && first <= 63)
        return DATAGRAM_DTLS;
    if (first < 128 || first > 191)
        return DATAGRAM_GARBAGE;
    if (datagram[1] >= 192 && datagram[1] <= 223)
        return DATAGRAM_RTCP;
    return length >= 12 ? DATAGRAM_RTP : DATAGRAM_GARBAGE;
}

int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool inbox_init(struct inbox *inbox, int fd, unsigned slots)
{
    *inbox = (struct inbox){.fd = fd, .slots = slots};
    inbox->bytes = malloc((size_t)slots * DATAGRAM_STRIDE);
    inbox->messages = calloc(slots, sizeof *inbox->messages);
    inbox->vectors = calloc(slots, sizeof *inbox->vectors);
    inbox->sources = calloc(slots, sizeof *inbox->sources);
    if (inbox->bytes == NULL || inbox->messages == NULL || inbox->vectors == NULL || inbox->sources == NULL) {
        inbox_free(inbox);
        return false;
    }
    for (unsigned slot = 0; slot < slots; slot++) {
        inbox->vectors[slot] = (struct iovec){inbox_bytes(inbox, slot), DATAGRAM_MOST};
        struct msghdr *header = &inbox->messages[slot].msg_hdr;
        header->msg_iov = &inbox->vectors[slot];
        header->msg_iovlen = 1;
        header->msg_name = &inbox->sources[slot];
    }
    return true;
}

void inbox_free(struct inbox *inbox)
{
    free(inbox->bytes);
    free(inbox->messages);
    free(inbox->vectors);
    free(inbox->sources);
    *inbox = (struct inbox){.fd = -1};
}

unsigned inbox_read(struct inbox *inbox, unsigned most)
{
    if (most > inbox->slots)
        most = inbox->slots;
    for (unsigned slot = 0; slot < most; slot++)
        inbox->messages[slot].msg_hdr.msg_namelen = sizeof *inbox->sources;
    int read = recvmmsg(inbox->fd, inbox->messages, most, MSG_DONTWAIT, NULL);
    return read > 0 ? (unsigned)read : 0;
}

void destination_init(struct destination *to)
{
    *to = (struct destination){.first = BATCH_NONE, .last = BATCH_NONE};
}

bool outbox_init(struct outbox *outbox, int fd, unsigned slots, bool segments)
{
    *outbox = (struct outbox){.fd = fd, .slots = slots, .segments = segments};
    outbox->bytes = malloc((size_t)slots * DATAGRAM_STRIDE);
    outbox->items = calloc(slots, sizeof *outbox->items);
    outbox->messages = calloc(slots, sizeof *outbox->messages);
    outbox->vectors = calloc(slots, sizeof *outbox->vectors);
    outbox->firsts = calloc(slots, sizeof *outbox->firsts);
    outbox->controls = calloc(slots, CONTROL_SIZE);
    outbox->addresses = calloc(slots, sizeof *outbox->addresses);
    if (outbox->addresses == NULL || outbox->bytes == NULL || outbox->items == NULL || outbox->messages == NULL || outbox->vectors == NULL
        || outbox->firsts == NULL || outbox->controls == NULL) {
        outbox_free(outbox);
        return false;
    }
    return true;
}

void outbox_free(struct outbox *outbox)
{
    free(outbox->bytes);
    free(outbox->items);
    free(outbox->messages);
    free(outbox->vectors);
    free(outbox->firsts);
    free(outbox->controls);
    free(outbox->addresses);
    *outbox = (struct outbox){.fd = -1};
}

void outbox_add(struct outbox *outbox, struct destination *to, uint32_t length)
{
    uint32_t index = outbox->count++;
    outbox->items[index] = (struct outbox_item){to, length, BATCH_NONE};
    if (to->first == BATCH_NONE)
        to->first = index;
    else
        outbox->items[to->last].next = index;
    to->last = index;
}

/* One message of `count` equal datagrams (the last may be shorter) whose vectors are in place. */
static void add_message(struct outbox *outbox, unsigned index, struct iovec *vectors, unsigned count)
{
    struct destination *to = outbox->items[outbox->firsts[index]].to;
    struct msghdr *header = &outbox->messages[index].msg_hdr;
    uint8_t *room = outbox->controls + (size_t)index * CONTROL_SIZE;
    outbox->addresses[index] = to->address; /* a copy: its owner may go before the message does */
    *header = (struct msghdr){
        .msg_name = &outbox->addresses[index],
        .msg_namelen = to->address_length,
        .msg_iov = vectors,
        .msg_iovlen = count,
    };
    if (count > 1) {
        uint16_t size = (uint16_t)vectors[0].iov_len;
        struct cmsghdr *part = (struct cmsghdr *)(void *)room;
        *part = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
        memcpy(CMSG_DATA(part), &size, sizeof size);
        header->msg_control = room;
        header->msg_controllen = CMSG_SPACE(sizeof size);
    }
}

/* How many datagrams from `first` on can leave as one send: equal lengths, then at most one shorter. */
static unsigned run_length(const struct outbox *outbox, uint32_t first)
{
    uint32_t length = outbox->items[first].length;
    uint32_t bytes = length;
    unsigned count = 1;
    if (!outbox->segments)
        return 1;
    for (uint32_t at = outbox->items[first].next; at != BATCH_NONE; at = outbox->items[at].next) {
        uint32_t size = outbox->items[at].length;
        if (size > length || count == SEGMENTS_MOST || bytes + size > SEGMENT_BYTES_MOST)
            break;
        count++;
        bytes += size;
        if (size < length)
            break;
    }
    return count;
}

static void count_sent(struct outbox *outbox, unsigned message)
{
    const struct msghdr *header = &outbox->messages[message].msg_hdr;
    count_more(&outbox->counters.sent, header->msg_iovlen);
    for (size_t i = 0; i < header->msg_iovlen; i++)
        count_more(&outbox->counters.sent_bytes, header->msg_iov[i].iov_len);
}

/* The kernel would not take a joined send (no checksum offload, size above the path's MTU): one by one. */
static void send_apart(struct outbox *outbox, unsigned message)
{
    struct msghdr *header = &outbox->messages[message].msg_hdr;
    struct msghdr single = *header;
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        single.msg_iov = &header->msg_iov[i];
        single.msg_iovlen = 1;
        single.msg_control = NULL;
        single.msg_controllen = 0;
        count_more(&outbox->counters.calls, 1);
        if (sendmsg(outbox->fd, &single, MSG_DONTWAIT) >= 0) {
            count_more(&outbox->counters.sent, 1);
            count_more(&outbox->counters.sent_bytes, single.msg_iov->iov_len);
        } else {
            count_more(&outbox->counters.failed, 1);
        }
    }
}

void outbox_transmit(struct outbox *outbox)
{
    unsigned done = 0, count = outbox->prepared;
    outbox->prepared = outbox->count = 0;
    while (done < count) {
        count_more(&outbox->counters.calls, 1);
        int sent = sendmmsg(outbox->fd, outbox->messages + done, count - done, MSG_DONTWAIT);
        if (sent > 0) {
            for (int i = 0; i < sent; i++)
                count_sent(outbox, done + (unsigned)i);
            done += (unsigned)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        size_t datagrams = outbox->messages[done].msg_hdr.msg_iovlen;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            for (; done < count; done++)
                count_more(&outbox->counters.blocked, outbox->messages[done].msg_hdr.msg_iovlen);
        } else if (datagrams > 1 && (errno == EINVAL || errno == EIO || errno == EMSGSIZE)) {
            outbox->segments = errno == EMSGSIZE && outbox->segments;
            send_apart(outbox, done++);
        } else {
            count_more(&outbox->counters.failed, datagrams);
            done++;
        }
    }
}

void outbox_prepare(struct outbox *outbox)
{
    unsigned messages = 0;
    struct iovec *vector = outbox->vectors;
    for (uint32_t index = 0; index < outbox->count; index++) {
        struct destination *to = outbox->items[index].to;
        /* The first datagram of a destination brings all of its chain, so that runs stand together. */
        if (to->first != index)
            continue;
        uint32_t at = index;
        while (at != BATCH_NONE) {
            unsigned count = run_length(outbox, at);
            struct iovec *begin = vector;
            outbox->firsts[messages] = at;
            for (unsigned i = 0; i < count; i++, at = outbox->items[at].next)
                *vector++ = (struct iovec){outbox->bytes + (size_t)at * DATAGRAM_STRIDE, outbox->items[at].length};
            add_message(outbox, messages++, begin, count);
        }
        to->first = to->last = BATCH_NONE;
    }
    outbox->prepared = messages;
}

void outbox_flush(struct outbox *outbox)
{
    outbox_prepare(outbox);
    outbox_transmit(outbox);
}
