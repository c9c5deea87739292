/* What comes in: batches of everybody's datagrams, told apart by the local address they came to. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static uint32_t slot_of(int32_t transport, uint32_t ssrc)
{
    uint32_t h = ssrc * 2654435761u ^ (uint32_t)transport * 0x9e3779b1u;
    return (h ^ h >> 15) & (STREAM_SLOTS - 1);
}

struct stream *lt_find_stream(struct lt_engine *e, int32_t transport, uint32_t ssrc)
{
    for (uint32_t at = slot_of(transport, ssrc);; at = (at + 1) & (STREAM_SLOTS - 1)) {
        int32_t number = e->stream_table[at];
        if (number == -1)
            return NULL;
        if (number < 0)
            continue;
        struct stream *s = e->streams + number;
        if (s->transport == transport && (s->ssrc == ssrc || (s->rtx_ssrc == ssrc && ssrc)))
            return s;
    }
}

static void table_put(struct lt_engine *e, int32_t number, uint32_t ssrc)
{
    uint32_t at = slot_of(e->streams[number].transport, ssrc);
    while (e->stream_table[at] >= 0)
        at = (at + 1) & (STREAM_SLOTS - 1);
    e->stream_table[at] = number;
}

static void table_remove(struct lt_engine *e, int32_t number, uint32_t ssrc)
{
    for (uint32_t at = slot_of(e->streams[number].transport, ssrc); e->stream_table[at] != -1;
         at = (at + 1) & (STREAM_SLOTS - 1))
        if (e->stream_table[at] == number) {
            e->stream_table[at] = -2; /* a grave: the search goes on over it */
            return;
        }
}

int32_t lt_stream_add(struct lt_engine *e, int32_t transport, uint32_t ssrc, uint32_t rtx_ssrc, int32_t track)
{
    pthread_mutex_lock(&e->lock);
    int32_t number = 0;
    while (number < e->most_streams && e->streams[number].used)
        number++;
    if (number == e->most_streams) {
        number = -1;
    } else {
        struct stream *s = e->streams + number;
        *s = (struct stream){.used = true, .transport = transport, .track = track, .ssrc = ssrc, .rtx_ssrc = rtx_ssrc};
        s->next = e->transports[transport].first_stream;
        e->transports[transport].first_stream = number;
        table_put(e, number, ssrc);
        if (rtx_ssrc)
            table_put(e, number, rtx_ssrc);
    }
    pthread_mutex_unlock(&e->lock);
    return number;
}

void lt_stream_track(struct lt_engine *e, int32_t number, int32_t track)
{
    pthread_mutex_lock(&e->lock);
    struct stream *s = e->streams + number;
    if (s->used && s->track < 0) {
        s->track = track;
        e->tracks[track].sinks += s->started;
    }
    pthread_mutex_unlock(&e->lock);
}

void lt_stream_remove(struct lt_engine *e, int32_t number)
{
    pthread_mutex_lock(&e->lock);
    struct stream *s = e->streams + number;
    if (s->used) {
        int32_t *link = &e->transports[s->transport].first_stream;
        while (*link >= 0 && *link != number)
            link = &e->streams[*link].next;
        if (*link == number)
            *link = s->next;
        table_remove(e, number, s->ssrc);
        if (s->rtx_ssrc)
            table_remove(e, number, s->rtx_ssrc);
        if (s->started && s->track >= 0)
            e->tracks[s->track].sinks--;
        s->used = false;
    }
    pthread_mutex_unlock(&e->lock);
}

static int bucket_of(uint64_t us)
{
    /* exact to 64 us, then 64 buckets for each doubling: 1.6 % */
    if (us < 64)
        return (int)us;
    int shift = 63 - __builtin_clzll(us) - 6;
    int bucket = 64 * (shift + 1) + (int)((us >> shift) - 64);
    return bucket < LT_BUCKETS ? bucket : LT_BUCKETS - 1;
}

double lt_bucket_us(int32_t bucket)
{
    if (bucket < 64)
        return bucket;
    return ldexp(64 + bucket % 64, bucket / 64 - 1);
}

static void to_python(struct lt_engine *e, int32_t transport, const uint8_t *data, int length)
{
    if (e->ring_head - e->ring_tail == RING) {
        e->totals.up_dropped++;
        return;
    }
    struct ring_slot *slot = e->ring + e->ring_head++ % RING;
    slot->transport = transport;
    slot->length = length;
    memcpy(slot->data, data, (size_t)length);
    uint64_t one = 1;
    if (write(e->event_fd, &one, sizeof one) < 0)
        e->totals.up_dropped++;
}

/* Where the payload begins; the transport-wide number into `number` (-1 = none). 0 = not RTP. */
static int read_header(const uint8_t *p, int length, uint8_t number_id, int *number)
{
    int at = 12 + 4 * (p[0] & 0x0f);
    *number = -1;
    if (length < at)
        return 0;
    if (!(p[0] & 0x10))
        return at;
    if (length < at + 4)
        return 0;
    int end = at + 4 + 4 * lt_get16(p + at + 2);
    if (length < end)
        return 0;
    if (number_id && lt_get16(p + at) == 0xbede)
        for (int i = at + 4; i < end;) {
            int id = p[i] >> 4, size = (p[i] & 0x0f) + 1;
            if (p[i] == 0) {
                i++;
                continue;
            }
            if (id == number_id && size == 2 && i + 3 <= end) {
                *number = lt_get16(p + i + 1);
                break;
            }
            i += 1 + size;
        }
    return end;
}

/* Note a sequence number; false when it was there before. */
static bool note_sequence(struct lt_engine *e, struct stream *s, uint16_t sequence)
{
    if (!s->started) {
        s->started = true;
        s->newest = s->base = 65536u + sequence;
        memset(s->window, 0, sizeof s->window);
        s->window[s->newest % WINDOW_BITS / 64] |= 1ull << s->newest % 64;
        return true;
    }
    int32_t step = (int16_t)(sequence - (uint16_t)s->newest);
    if (step > 0) {
        for (int32_t i = 1; i <= step && i <= WINDOW_BITS; i++) {
            uint32_t n = s->newest + (uint32_t)i;
            s->window[n % WINDOW_BITS / 64] &= ~(1ull << n % 64);
        }
        s->newest += (uint32_t)step;
    } else if (-step >= WINDOW_BITS) {
        return false;
    } else if (step < 0) {
        e->totals.disordered++;
    }
    uint32_t n = s->newest - (uint32_t)(step > 0 ? 0 : -step);
    uint64_t bit = 1ull << n % 64;
    if (s->window[n % WINDOW_BITS / 64] & bit) {
        e->totals.disordered -= step < 0;
        return false;
    }
    s->window[n % WINDOW_BITS / 64] |= bit;
    return n >= s->base; /* before the reset: not of this measurement */
}

static void check_content(struct lt_engine *e, struct stream *s, uint8_t *p, int length, int payload, uint64_t at_ns)
{
    struct transport *t = e->transports + s->transport;
    if (e->srtp.unprotect(t->inbound, p, &length) != 0) {
        e->totals.corrupt++;
        return;
    }
    e->totals.checked++;
    if (s->track < 0)
        return;
    struct mark mark;
    int body = length - payload - LEAST_PAYLOAD;
    if (body < 0) {
        e->totals.corrupt++;
        return;
    }
    memcpy(&mark, p + payload + MARK_AT, sizeof mark);
    if (mark.magic != MARK_MAGIC || mark.track != (uint32_t)s->track ||
        memcmp(p + payload + LEAST_PAYLOAD, e->filler + mark.index % 2048, (size_t)body) != 0) {
        e->totals.corrupt++;
        return;
    }
    uint64_t us = at_ns > mark.sent_ns ? (at_ns - mark.sent_ns) / 1000 : 0;
    e->delays[bucket_of(us)]++;
}

static void note_jitter(struct lt_engine *e, struct stream *s, uint32_t timestamp, uint64_t at_ns)
{
    uint32_t rate = s->track >= 0 ? e->tracks[s->track].config.clock_rate : 90000;
    uint32_t transit = (uint32_t)(at_ns / 1000 * (rate / 1000) / 1000) - timestamp;
    int32_t d = (int32_t)(transit - s->last_transit);
    d = d < 0 ? -d : d;
    if (s->arrived > 1 && d < (int32_t)rate)
        s->jitter16 = (uint32_t)((int32_t)s->jitter16 + d - (((int32_t)s->jitter16 + 8) >> 4));
    s->last_transit = transit;
}

static void media_received(struct lt_engine *e, int32_t number, uint8_t *p, int length, uint64_t at_ns, uint64_t now)
{
    struct transport *t = e->transports + number;
    int wide, payload = read_header(p, length, t->number_id, &wide);
    if (!payload)
        return;
    if (wide >= 0)
        lt_note_arrival(t, (uint16_t)wide, at_ns);
    e->totals.arrived_bytes += (uint64_t)length;
    uint32_t ssrc = lt_get32(p + 8);
    struct stream *s = lt_find_stream(e, number, ssrc);
    if (!s) {
        e->totals.unknown++;
        return;
    }
    if (ssrc != s->ssrc) {
        e->totals.repeated++;
        return;
    }
    bool begins = !s->started;
    if (!note_sequence(e, s, lt_get16(p + 2))) {
        e->totals.repeated++;
        return;
    }
    if (begins && s->track >= 0)
        e->tracks[s->track].sinks++;
    if (!s->first_ns)
        s->first_ns = at_ns;
    s->arrived++;
    e->totals.arrived++;
    e->under_way -= e->under_way > 0; /* what comes after it was given up opens no window */
    e->heard_ns = now;
    note_jitter(e, s, lt_get32(p + 4), at_ns);
    if (++s->checked_turn >= (uint32_t)e->check_every) {
        s->checked_turn = 0;
        check_content(e, s, p, length, payload, at_ns);
    }
}

static void datagram(struct lt_engine *e, int32_t number, uint8_t *p, int length, uint64_t at_ns, uint64_t now)
{
    struct transport *t = e->transports + number;
    if (length < 12 || p[0] < 128 || p[0] > 191) { /* RFC 7983: STUN, DTLS */
        to_python(e, number, p, length);
    } else if (!t->keyed) {
        e->totals.unknown++;
    } else if (p[1] >= 192 && p[1] <= 223) {
        if (e->srtp.unprotect_rtcp(t->inbound, p, &length) == 0)
            lt_rtcp_received(e, t, p, length, now);
        else
            e->totals.corrupt++;
    } else {
        media_received(e, number, p, length, at_ns, now);
    }
}

bool lt_receive(struct lt_engine *e, uint64_t now)
{
    struct batch *b = &e->in;
    for (int i = 0; i < BATCH; i++)
        b->messages[i].msg_hdr.msg_controllen = sizeof b->control[i];
    int count = recvmmsg(e->fd, b->messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        struct msghdr *h = &b->messages[i].msg_hdr;
        uint64_t at_ns = 0;
        uint32_t local = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
            if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                local = ntohl(info.ipi_addr.s_addr);
            } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                at_ns = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
            }
        }
        uint32_t number = local - e->base_ip;
        if (number < (uint32_t)e->most_transports && e->transports[number].used)
            datagram(e, (int32_t)number, b->data[i], (int)b->messages[i].msg_len, at_ns, now);
    }
    return count == BATCH;
}
