/* What the rule alone costs for each packet that leaves, without sockets and crypto (see bench_rule.py).
 *
 * A VP8 publisher as Chromium is: frames of five packets, abs-send-time, transport-wide numbers, mid and
 * orientation; every receiver numbered and paced, its numbers remembered, and one packet in a hundred asked for
 * again. Packets are written into rooms in turn, as a batch of an engine has them. Usage: rule_bench FAN_OUT SIZE. */
#include "rule_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "limits_values.h"

#define ROOMS 256
#define ROOM_BYTES 2048
#define PACKETS 20000
#define FRAME 5

static uint8_t rooms[ROOMS][ROOM_BYTES];
static uint64_t sent;

static uint8_t *reserve(void *context, void *out, size_t size) {
    (void)context, (void)out, (void)size;
    return rooms[sent % ROOMS];
}

static bool commit(void *context, void *out, size_t size) {
    (void)context, (void)out, (void)size;
    sent++;
    return true;
}

static struct rule_producer *make_track(struct rule_peer *peer) {
    struct rule_ingress ingress = {.send_time_id = 4, .number_id = 5, .red_type = -1, .codec = RULE_VP8};
    for (int index = 0; index < 128; index++)
        ingress.payload_types[index] = ingress.rtx_payload_types[index] = -1;
    ingress.payload_types[96] = 101;
    ingress.extension_ids[2] = 4;
    ingress.extension_ids[3] = 11;
    ingress.extension_ids[12] = 5;
    struct rule_producer *track = rule_producer_new(peer, &ingress, 1, 90000, true, NULL);
    rule_bind(peer, 500, &track->layers[0], false);
    track->layers[0].alive = true;
    return track;
}

static struct rule_subscription *subscribe(struct rule *rule, struct rule_producer *track, int index) {
    struct rule_subscription values = {.clock_rate = 90000, .numbered = 5, .waits = true, .priority = 4};
    values.rtx_payload_type = 120;
    values.rtx_ssrc = 9;
    values.egress.plain_type = -1;
    struct rule_peer *peer = rule_peer_new(rule, &rooms);
    rule_peer_set_out(peer, &rooms);
    rule_set_target(peer, 1e12, 0); /* a pace that is reckoned and never reached */
    struct rule_subscription *one =
        rule_subscription_new(track, peer, &values, 1000 + (uint32_t)index, 7, true, &rooms);
    rule_aim(one, &track->layers[0]);
    return one;
}

static size_t make_packet(uint8_t *packet, uint32_t number, size_t size) {
    static const uint8_t extensions[] = {0xBE, 0xDE, 0, 4, 0x90, '1', 0x22, 1, 2, 3, 0x30, 1, 0xC1, 0, 0, 0x10, 5, 0, 0, 0};
    static const uint8_t key[] = {0x10, 0, 0, 0x9D, 0x01, 0x2A, 16, 0, 16, 0};
    uint32_t frame = number / FRAME;
    memset(packet, 0x11, size);
    packet[0] = 0x90;
    packet[1] = (uint8_t)(96 | (number % FRAME == FRAME - 1 ? 0x80 : 0));
    rule_put16(packet + 2, number);
    rule_put32(packet + 4, frame * 3000);
    rule_put32(packet + 8, 500);
    memcpy(packet + 12, extensions, sizeof extensions);
    rule_put16(packet + 12 + 13, number);
    uint8_t *payload = packet + 12 + sizeof extensions;
    payload[0] = (uint8_t)(0x80 | (number % FRAME ? 0 : 0x10));
    payload[1] = 0xE0;
    rule_put16(payload + 2, 0x8000 | (frame & 0x7FFF));
    payload[4] = (uint8_t)frame;
    payload[5] = 0x20;
    if (number == 0)
        memcpy(payload + 6, key, sizeof key);
    return size;
}

static double seconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    int fan_out = count > 1 ? atoi(arguments[1]) : 10;
    size_t size = count > 2 ? (size_t)atoi(arguments[2]) : 1200;
    struct rule *rule = rule_new(&RULE_LIMITS);
    struct rule_subscription **all = calloc((size_t)fan_out, sizeof *all);
    rule_set_sink(rule, (struct rule_sink){.reserve = reserve, .commit = commit});
    struct rule_peer *sender = rule_peer_new(rule, &rooms);
    sender->feedback_id = 12;
    struct rule_producer *track = make_track(sender);
    for (int index = 0; index < fan_out; index++)
        all[index] = subscribe(rule, track, index);
    double spent = 0, now = 100;
    uint8_t(*packets)[ROOM_BYTES] = malloc(64 * sizeof *packets);
    struct rule_arrival *told = malloc((size_t)RULE_LIMITS.arrivals * sizeof *told);
    uint64_t warm = 0;
    for (uint32_t number = 0; number < PACKETS; number += 64) { /* a batch as recvmmsg gives it */
        for (uint32_t index = 0; index < 64; index++)
            make_packet(packets[index], number + index, size);
        double start = seconds();
        for (uint32_t index = 0; index < 64; index++)
            rule_receive(rule, sender, packets[index], size, now);
        for (int index = 0; index < fan_out; index++)
            rule_retransmit(all[index], (uint16_t[]){(uint16_t)all[index]->egress.sequences.newest_out}, 1, now);
        rule_run(rule, now);
        int arrived = rule_arrivals_untold(sender, told);
        if (arrived)
            rule_arrivals_told(sender, told[arrived - 1].number + 1, 0);
        if (number >= PACKETS / 4)
            spent += seconds() - start;
        else
            warm = sent;
        now += 0.05;
    }
    printf("%.1f\n", spent * 1e9 / (double)(sent - warm));
    return 0;
}
