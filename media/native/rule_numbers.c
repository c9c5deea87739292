/* Wrapping numbers, numbers that leave holes or none, and clocks: media/rtp/numbers, clocks; media/relay/numbering. */
#include "rule_tables.h"

#include <stdlib.h>

void rule_unwrapper_init(struct rule_unwrapper *unwrapper, int bits) {
    *unwrapper = (struct rule_unwrapper){.bits = (uint8_t)bits};
}

/* The number nearest to the newest one seen that equals `value` modulo the range (numbers.Unwrapper). */
int64_t rule_unwrap(struct rule_unwrapper *unwrapper, uint32_t value) {
    if (!unwrapper->known) {
        unwrapper->known = true;
        unwrapper->last = value;
        return value;
    }
    int64_t half = (int64_t)1 << (unwrapper->bits - 1);
    int64_t mask = ((int64_t)1 << unwrapper->bits) - 1;
    int64_t delta = (((int64_t)value - unwrapper->last + half) & mask) - half;
    int64_t result = unwrapper->last + delta;
    if (delta > 0)
        unwrapper->last = result;
    return result;
}

/* -- numbering.NumberMap: missed numbers keep their hole, dropped ones leave none ------------------------- */

void rule_numbers_init(struct rule_numbers *map, int64_t first_out, int most) {
    *map = (struct rule_numbers){.newest = -1, .newest_out = first_out - 1, .most = most};
}

void rule_numbers_free(struct rule_numbers *map) {
    free(map->drops);
    map->drops = NULL;
    map->count = 0;
}

/* `number` is the first of another layer, or after a pause; it continues the output. */
void rule_numbers_restart(struct rule_numbers *map, int64_t number) {
    map->delta = map->newest_out + 1 - number;
    map->first = number;
    map->newest = number - 1;
    map->count = 0;
}

static int64_t drop_at(const struct rule_numbers *map, int index) {
    return map->drops[(map->start + index) % map->most];
}

static void remember_drop(struct rule_numbers *map, int64_t number) {
    if (!map->drops && !(map->drops = malloc((size_t)map->most * sizeof *map->drops)))
        return; /* without memory a late packet may get a dropped one's place: the receiver sees a duplicate */
    if (map->count == map->most)
        map->start = (map->start + 1) % map->most;
    else
        map->count++;
    map->drops[(map->start + map->count - 1) % map->most] = number;
}

/* Leave `number` out. A late one has its hole already, and keeps it. */
void rule_numbers_drop(struct rule_numbers *map, int64_t number) {
    if (number > map->newest) {
        map->newest = number;
        map->delta--;
        remember_drop(map, number);
    }
}

static bool map_late(const struct rule_numbers *map, int64_t number, int64_t *out) {
    if (map->count == map->most && number < drop_at(map, 0))
        return false;
    int low = 0, high = map->count; /* the first drop that is not before `number` */
    while (low < high) {
        int middle = (low + high) / 2;
        if (drop_at(map, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < map->count && drop_at(map, low) == number)
        return false;
    *out = number + map->delta + (map->count - low);
    return true;
}

/* The outgoing number; false when it was dropped or is older than the last restart. */
bool rule_numbers_map(struct rule_numbers *map, int64_t number, int64_t *out) {
    if (number > map->newest) {
        map->newest = number;
        *out = map->newest_out = number + map->delta;
        return true;
    }
    return number >= map->first && map_late(map, number, out);
}

/* -- rtp.clocks ------------------------------------------------------------------------------------------- */

#define FRACTION 4294967296.0 /* of an NTP second */

int32_t rule_ts_diff(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

uint64_t rule_ntp_of(const struct rule_clock *clock, uint32_t timestamp, int clock_rate) {
    double seconds = (double)rule_ts_diff(timestamp, clock->rtp_timestamp) / clock_rate;
    return clock->ntp + (uint64_t)llrint(seconds * FRACTION);
}

uint32_t rule_rtp_of(const struct rule_clock *clock, uint64_t ntp, int clock_rate) {
    double seconds = (double)(int64_t)(ntp - clock->ntp) / FRACTION;
    return clock->rtp_timestamp + (uint32_t)llrint(seconds * clock_rate);
}

#define LEAST_STEP_S 0.001        /* between the last frame of one layer and the first of the next */
#define MOST_DISAGREEMENT_S 3.0 /* of sender reports with arrival; beyond it the reports are not believed */

/* layers.continued_timestamp: always newer than `last`, whatever the reports say. */
uint32_t rule_continued(bool reported, uint32_t by_reports, bool started, uint32_t last, double elapsed,
                        int clock_rate, uint32_t timestamp) {
    if (!started)
        return timestamp;
    uint32_t by_arrival = last + (uint32_t)llrint(elapsed * clock_rate);
    uint32_t chosen = by_arrival;
    if (reported) {
        double apart = fabs((double)rule_ts_diff(by_reports, by_arrival));
        if (apart < MOST_DISAGREEMENT_S * clock_rate)
            chosen = by_reports;
    }
    long long step = llrint(LEAST_STEP_S * clock_rate);
    uint32_t least = last + (uint32_t)(step > 1 ? step : 1);
    return rule_ts_diff(chosen, least) >= 0 ? chosen : least;
}

/* abs-send-time: 24 bits, 6.18 fixed-point seconds; only differences count. */
uint32_t rule_send_time(double now) { return (uint32_t)((uint64_t)(int64_t)(now * 262144.0) & 0xFFFFFF); }
