/* Tracks: prerecorded content cut into RTP packets, on the clock's grid or as fast as the sinks take it. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>

#include "internal.h"

uint64_t lt_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t lt_realtime(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t lt_ntp(void)
{
    uint64_t ns = lt_realtime();
    uint64_t seconds = ns / 1000000000ull + 2208988800ull;
    return seconds << 32 | ((ns % 1000000000ull) << 32) / 1000000000ull;
}

uint8_t *lt_slot(struct lt_engine *e)
{
    if (e->out.count == BATCH)
        lt_flush(e);
    return e->out.data[e->out.count];
}

void lt_push(struct lt_engine *e, const struct transport *t, int length, bool media)
{
    struct batch *b = &e->out;
    int i = b->count++;
    b->addresses[i] = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(t->remote_port), .sin_addr.s_addr = htonl(t->remote_ip)};
    b->vectors[i].iov_len = (size_t)length;
    b->media += media;
    struct cmsghdr *c = (struct cmsghdr *)b->control[i];
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(t->local_ip)};
    memcpy(CMSG_DATA(c), &info, sizeof info);
}

void lt_flush(struct lt_engine *e)
{
    struct batch *b = &e->out;
    int done = 0;
    while (done < b->count) {
        int sent = sendmmsg(e->fd, b->messages + done, (unsigned)(b->count - done), MSG_DONTWAIT);
        if (sent > 0) {
            done += sent;
        } else if (errno != EINTR) {
            /* Full: this one is lost, as with any sender; anything else is that peer's own trouble. */
            e->totals.send_dropped++;
            done++;
        }
    }
    b->count = b->media = 0;
}

static int write_extensions(const struct lt_track_config *c, struct transport *t, uint8_t *at, uint64_t now)
{
    uint8_t *start = at;
    at += 4;
    if (c->mid_id) {
        *at++ = (uint8_t)(c->mid_id << 4 | (c->mid_length - 1));
        memcpy(at, c->mid, c->mid_length);
        at += c->mid_length;
    }
    if (c->abs_id) { /* 6.18 fixed point seconds */
        uint32_t value = (uint32_t)(((now % 64000000000ull) << 18) / 1000000000ull) & 0xffffff;
        *at++ = (uint8_t)(c->abs_id << 4 | 2);
        *at++ = (uint8_t)(value >> 16);
        *at++ = (uint8_t)(value >> 8);
        *at++ = (uint8_t)value;
    }
    if (c->number_id) {
        *at++ = (uint8_t)(c->number_id << 4 | 1);
        lt_put16(at, t->next_number++);
        at += 2;
    }
    if (c->level_id) {
        *at++ = (uint8_t)(c->level_id << 4);
        *at++ = (uint8_t)(0x80 | 30); /* voice, -30 dBov */
    }
    while ((at - start) % 4)
        *at++ = 0;
    lt_put16(start, 0xbede);
    lt_put16(start + 2, (uint32_t)((at - start) / 4 - 1));
    return (int)(at - start);
}

/* RFC 7741 section 4: descriptor with 15-bit picture id, TL0PICIDX, TID; then the VP8 frame header. */
static void write_vp8_header(struct track *k, uint8_t *at, bool first, bool key)
{
    at[0] = first ? 0x90 : 0x80;
    at[1] = 0xe0;
    lt_put16(at + 2, 0x8000u | (k->picture_id & 0x7fff));
    at[4] = k->tl0;
    at[5] = 0;
    static const uint8_t key_header[10] = {0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01};
    memcpy(at + 6, key_header, 10);
    at[6] = key ? 0x10 : 0x11;
}

static void send_packet(struct lt_engine *e, int32_t number, int size, bool first, bool last, bool key, uint64_t now)
{
    struct track *k = e->tracks + number;
    const struct lt_track_config *c = &k->config;
    struct transport *t = e->transports + c->transport;
    uint8_t *p = lt_slot(e);
    p[0] = 0x90;
    p[1] = (uint8_t)(c->payload_type | (last && c->is_video ? 0x80 : 0));
    lt_put16(p + 2, k->sequence++);
    lt_put32(p + 4, k->last_timestamp);
    lt_put32(p + 8, c->ssrc);
    int header = 12 + write_extensions(c, t, p + 12, now);
    int payload = size - header;
    if (payload < LEAST_PAYLOAD)
        payload = LEAST_PAYLOAD;
    uint8_t *at = p + header;
    struct mark mark = {MARK_MAGIC, (uint32_t)number, k->index++, lt_realtime()};
    if (c->is_video) {
        write_vp8_header(k, at, first, key);
    } else {
        memset(at, 0, MARK_AT);
        at[0] = 0x78; /* Opus TOC: CELT-only fullband 20 ms, one frame */
    }
    memcpy(at + MARK_AT, &mark, sizeof mark);
    memcpy(at + LEAST_PAYLOAD, e->filler + mark.index % 2048, (size_t)(payload - LEAST_PAYLOAD));
    int length = header + payload;
    k->packets++;
    k->octets += (uint64_t)payload;
    if (e->srtp.protect(t->outbound, p, &length) != 0) {
        e->totals.send_dropped++;
        return;
    }
    e->totals.sent++;
    e->totals.expected += (uint64_t)k->sinks;
    e->under_way += k->sinks;
    lt_push(e, t, length, true);
}

static void send_frame(struct lt_engine *e, int32_t number, uint64_t now)
{
    struct track *k = e->tracks + number;
    const struct lt_track_config *c = &k->config;
    bool key = c->is_video && k->key_wanted && now >= k->key_after;
    uint32_t bytes = key ? c->key_frame_size : k->sizes[k->at];
    k->at = (k->at + 1) % c->sizes_count;
    if (key) {
        k->key_wanted = false;
        k->key_after = now + 300000000ull; /* as Chromium: no two within 300 ms */
        e->totals.key_frames_sent++;
    }
    k->last_timestamp =
        k->first_timestamp + (uint32_t)((now - k->began_ns) / 1000ull * (c->clock_rate / 1000u) / 1000ull);
    k->picture_id++;
    k->tl0++;
    uint32_t packets = (bytes + c->packet_size - 1) / c->packet_size;
    packets = packets ? packets : 1;
    for (uint32_t i = 0; i < packets; i++)
        send_packet(e, number, (int)(bytes / packets), i == 0, i + 1 == packets, key, now);
}

static bool ready(struct lt_engine *e, const struct track *k)
{
    return k->used && k->active && e->transports[k->config.transport].keyed;
}

static uint64_t send_by_clock(struct lt_engine *e, uint64_t now)
{
    uint64_t next = now + REPORT_NS;
    for (int32_t i = 0; i < e->used_tracks; i++) {
        struct track *k = e->tracks + i;
        if (!ready(e, k))
            continue;
        if (k->due_ns + 100000000ull < now) { /* far behind: the past is left out, as a camera does */
            e->totals.frames_late += (now - k->due_ns) / k->config.frame_ns;
            k->due_ns = now;
        }
        while (k->due_ns <= now) {
            if (now - k->due_ns > LATE_NS)
                e->totals.frames_late++;
            send_frame(e, i, now);
            k->due_ns += k->config.frame_ns;
        }
        if (k->due_ns < next)
            next = k->due_ns;
    }
    lt_flush(e);
    return next;
}

/* One frame of each track in turn, as long as the window is open. */
static uint64_t send_in_window(struct lt_engine *e, uint64_t now)
{
    if (e->under_way > 0 && now - e->heard_ns > STALL_NS) {
        /* What was left out does not come any more; one more window then, and not one with every look. */
        e->under_way = 0;
        e->heard_ns = now;
        e->totals.stalls++;
    }
    /* Half a window at a time, so that the server meets batches. */
    if (e->under_way > e->window / 2)
        return now + STALL_NS;
    int32_t frames = 0; /* a bound, for a track that nobody hears fills no window */
    for (int32_t tried = 0; tried < e->used_tracks && e->under_way < e->window && frames < 4 * BATCH; tried++) {
        e->turn = (e->turn + 1) % e->used_tracks;
        if (!ready(e, e->tracks + e->turn))
            continue;
        send_frame(e, e->turn, now);
        frames++;
        tried = -1;
    }
    lt_flush(e);
    return now + STALL_NS;
}

uint64_t lt_send_due(struct lt_engine *e, uint64_t now)
{
    return e->window ? send_in_window(e, now) : send_by_clock(e, now);
}
