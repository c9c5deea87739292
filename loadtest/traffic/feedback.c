/* RTCP of the light participants: reports (RFC 3550), transport-wide feedback, and what the server asks of us. */
#define _GNU_SOURCE
#include <string.h>

#include "internal.h"

void lt_note_arrival(struct transport *t, uint16_t number, uint64_t at_ns)
{
    if (!t->arrivals_begun) {
        t->arrivals_begun = true;
        t->told_to = t->newest = 65536u + number;
        t->told_to--;
    }
    int32_t step = (int16_t)(number - (uint16_t)t->newest);
    uint32_t n = t->newest + (uint32_t)step;
    if ((int32_t)(n - t->told_to) <= 0 || n - t->told_to >= ARRIVALS)
        return; /* too late, or more at once than a feedback can tell of */
    for (uint32_t i = t->newest + 1; (int32_t)(n - i) >= 0; i++)
        t->arrivals[i % ARRIVALS] = 0;
    if ((int32_t)(n - t->newest) > 0)
        t->newest = n;
    t->arrivals[n % ARRIVALS] = at_ns / 1000;
}

static void send_rtcp(struct lt_engine *e, struct transport *t, uint8_t *packet, int length)
{
    if (e->srtp.protect_rtcp(t->outbound, packet, &length) == 0)
        lt_push(e, t, length, false);
}

#define MOST_TOLD 420 /* statuses of one packet: two bytes each and a chunk for seven stay below 1000 bytes */

/* draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1, with two-bit status chunks only. */
static uint32_t write_feedback(struct transport *t, uint8_t *p, uint32_t first, uint32_t ssrc, int *length)
{
    uint32_t count = t->newest - first + 1;
    count = count < MOST_TOLD ? count : MOST_TOLD;
    uint64_t start = 0;
    for (uint32_t i = 0; i < count && !start; i++)
        start = t->arrivals[(first + i) % ARRIVALS];
    uint64_t reference = start / 64000;
    uint64_t last = reference * 256; /* in ticks of 250 us */
    uint8_t *chunk = p + 20, *delta = chunk + 2 * ((count + 6) / 7);
    for (uint32_t i = 0; i < count; i += 7) {
        uint32_t word = 0xc000;
        for (uint32_t k = 0; k < 7 && i + k < count; k++) {
            uint64_t at = t->arrivals[(first + i + k) % ARRIVALS];
            if (!at)
                continue;
            int64_t ticks = (int64_t)(at / 250) - (int64_t)last;
            last += (uint64_t)ticks;
            if (ticks >= 0 && ticks < 256) {
                word |= 1u << (12 - 2 * k);
                *delta++ = (uint8_t)ticks;
            } else {
                word |= 2u << (12 - 2 * k);
                lt_put16(delta, (uint16_t)(int16_t)ticks);
                delta += 2;
            }
        }
        lt_put16(chunk, word);
        chunk += 2;
    }
    int body = (int)(delta - p), padding = (4 - body % 4) % 4;
    if (padding) {
        memset(delta, 0, (size_t)padding);
        delta[padding - 1] = (uint8_t)padding;
    }
    p[0] = (uint8_t)(0x80 | (padding ? 0x20 : 0) | 15);
    p[1] = 205;
    lt_put16(p + 2, (uint32_t)(body + padding) / 4 - 1);
    lt_put32(p + 4, 1);
    lt_put32(p + 8, ssrc);
    lt_put16(p + 12, first & 0xffff);
    lt_put16(p + 14, count);
    lt_put32(p + 16, (uint32_t)(reference << 8) | t->feedback_count++);
    *length = body + padding;
    return first + count - 1;
}

static void send_arrivals(struct lt_engine *e, struct transport *t)
{
    while (t->arrivals_begun && (int32_t)(t->newest - t->told_to) > 0) {
        uint32_t first = t->told_to + 1;
        uint8_t *p = lt_slot(e);
        int length;
        uint32_t ssrc = t->first_stream >= 0 ? e->streams[t->first_stream].ssrc : 0;
        t->told_to = write_feedback(t, p, first, ssrc, &length);
        e->totals.feedback_sent++;
        send_rtcp(e, t, p, length);
    }
}

static int write_block(struct stream *s, uint8_t *p, uint64_t now)
{
    uint64_t expected = s->newest - s->base + 1;
    uint64_t lost = expected > s->arrived ? expected - s->arrived : 0;
    uint64_t span = expected - s->expected_at_report, got = s->arrived - s->since_report;
    uint64_t fraction = span && got < span ? ((span - got) << 8) / span : 0;
    s->expected_at_report = expected;
    s->since_report = s->arrived;
    lt_put32(p, s->ssrc);
    lt_put32(p + 4, (uint32_t)(fraction << 24) | (uint32_t)(lost & 0xffffff));
    lt_put32(p + 8, s->newest - 65536u);
    lt_put32(p + 12, s->jitter16 >> 4);
    lt_put32(p + 16, s->sr_middle);
    lt_put32(p + 20, s->sr_middle ? (uint32_t)(((now - s->sr_at) << 16) / 1000000000ull) : 0);
    return 24;
}

static void send_receiver_report(struct lt_engine *e, struct transport *t, uint64_t now)
{
    int32_t number = t->first_stream;
    while (number >= 0) {
        uint8_t *p = lt_slot(e);
        int length = 8, blocks = 0;
        for (; number >= 0 && blocks < 31; number = e->streams[number].next)
            if (e->streams[number].started) {
                length += write_block(e->streams + number, p + length, now);
                blocks++;
            }
        p[0] = (uint8_t)(0x80 | blocks);
        p[1] = 201;
        lt_put16(p + 2, (uint32_t)length / 4 - 1);
        lt_put32(p + 4, 1);
        send_rtcp(e, t, p, length);
    }
}

static void send_sender_report(struct lt_engine *e, struct track *k, uint64_t now)
{
    struct transport *t = e->transports + k->config.transport;
    uint8_t *p = lt_slot(e);
    uint64_t ntp = lt_ntp();
    p[0] = 0x80;
    p[1] = 200;
    lt_put16(p + 2, 6);
    lt_put32(p + 4, k->config.ssrc);
    lt_put32(p + 8, (uint32_t)(ntp >> 32));
    lt_put32(p + 12, (uint32_t)ntp);
    lt_put32(p + 16, k->first_timestamp +
                         (uint32_t)((now - k->began_ns) / 1000ull * (k->config.clock_rate / 1000u) / 1000ull));
    lt_put32(p + 20, (uint32_t)k->packets);
    lt_put32(p + 24, (uint32_t)k->octets);
    int name = (int)strlen(k->config.cname), sdes = 4 + 4 + 2 + name + 1;
    int padded = (sdes + 3) / 4 * 4;
    uint8_t *d = p + 28;
    memset(d, 0, (size_t)padded);
    d[0] = 0x81;
    d[1] = 202;
    lt_put16(d + 2, (uint32_t)padded / 4 - 1);
    lt_put32(d + 4, k->config.ssrc);
    d[8] = 1;
    d[9] = (uint8_t)name;
    memcpy(d + 10, k->config.cname, (size_t)name);
    send_rtcp(e, t, p, 28 + padded);
}

uint64_t lt_send_reports(struct lt_engine *e, uint64_t now)
{
    uint64_t next = now + FEEDBACK_NS;
    for (int32_t i = 0; i < e->used_transports; i++) {
        struct transport *t = e->transports + i;
        if (!t->used || !t->keyed)
            continue;
        if (t->number_id && now >= t->feedback_due) {
            send_arrivals(e, t);
            t->feedback_due = now + FEEDBACK_NS;
        }
        if (now >= t->report_due) {
            send_receiver_report(e, t, now);
            t->report_due = now + REPORT_NS;
        }
        if (t->number_id && t->feedback_due < next)
            next = t->feedback_due;
    }
    for (int32_t i = 0; i < e->used_tracks; i++) {
        struct track *k = e->tracks + i;
        if (k->used && k->active && k->packets && e->transports[k->config.transport].keyed && now >= k->report_due) {
            send_sender_report(e, k, now);
            k->report_due = now + REPORT_NS;
        }
    }
    lt_flush(e);
    return next;
}

static void key_frame_asked(struct lt_engine *e, uint32_t ssrc, int32_t transport)
{
    for (int32_t i = 0; i < e->used_tracks; i++)
        if (e->tracks[i].used && e->tracks[i].config.ssrc == ssrc && e->tracks[i].config.transport == transport) {
            e->tracks[i].key_wanted = true;
            e->totals.key_frames_asked++;
        }
}

void lt_rtcp_received(struct lt_engine *e, struct transport *t, const uint8_t *p, int length, uint64_t now)
{
    int32_t number = (int32_t)(t - e->transports);
    while (length >= 8) {
        int size = 4 * (lt_get16(p + 2) + 1), kind = p[0] & 0x1f;
        if (size > length)
            return;
        if (p[1] == 200 && size >= 28) {
            struct stream *s = lt_find_stream(e, number, lt_get32(p + 4));
            if (s) {
                s->sr_middle = lt_get32(p + 10);
                s->sr_at = now;
            }
            e->totals.reports_heard++;
        } else if (p[1] == 201) {
            e->totals.reports_heard++;
        } else if (p[1] == 205 && kind == 15) {
            e->totals.feedback_heard++;
        } else if (p[1] == 205 && kind == 1) {
            e->totals.nacked++;
        } else if (p[1] == 206 && kind == 1 && size >= 12) {
            key_frame_asked(e, lt_get32(p + 8), number);
        } else if (p[1] == 206 && kind == 4) {
            for (int at = 12; at + 8 <= size; at += 8)
                key_frame_asked(e, lt_get32(p + at), number);
        }
        p += size;
        length -= size;
    }
}
