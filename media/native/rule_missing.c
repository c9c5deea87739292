/* Which packets of a stream are missing, and when each is asked for again (RFC 4585): media/relay/feedback.Missing. */
#include "rule_tables.h"

#include <stdlib.h>

#define FIRST_ROUND_TRIP_S 0.1     /* assumed until a retransmission has told */
#define ROUND_TRIP_WEIGHT 0.125 /* of a new sample, as in RFC 6298 */

void rule_missing_init(struct rule_missing *missing) {
    *missing = (struct rule_missing){.due = INFINITY, .round_trip = FIRST_ROUND_TRIP_S};
}

void rule_missing_free(struct rule_missing *missing) {
    free(missing->entries);
    rule_missing_init(missing);
}

void rule_missing_reset(struct rule_missing *missing) {
    struct rule_missing_entry *entries = missing->entries;
    bool voice = missing->voice;
    rule_missing_init(missing);
    missing->entries = entries;
    missing->voice = voice;
}

static void give_up(struct rule_missing *missing) {
    missing->count = 0;
    missing->due = INFINITY;
    missing->lost_for_good = true;
}

static void add(struct rule *rule, struct rule_missing *missing, int64_t first, int64_t end, double now) {
    int most = rule->limits.missing_most;
    if (missing->count + (end - first) > most) {
        give_up(missing);
        return;
    }
    if (!missing->entries && !(missing->entries = malloc((size_t)most * sizeof *missing->entries))) {
        give_up(missing);
        return;
    }
    for (int64_t sequence = first; sequence < end; sequence++)
        missing->entries[missing->count++] = (struct rule_missing_entry){sequence, now, now, 0};
    if (now < missing->due)
        missing->due = now;
}

static int find(const struct rule_missing *missing, int64_t sequence) {
    int low = 0, high = missing->count; /* they stand in rising order */
    while (low < high) {
        int middle = (low + high) / 2;
        if (missing->entries[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low < missing->count && missing->entries[low].sequence == sequence ? low : -1;
}

bool rule_missing_asked(const struct rule_missing *missing, int64_t sequence) {
    int index = find(missing, sequence);
    return index >= 0 && missing->entries[index].tries > 0;
}

/* The first round trip replaces the guess, later ones are averaged. */
static void measured(struct rule_missing *missing, double seconds) {
    double weight = missing->round_trip_known ? ROUND_TRIP_WEIGHT : 1.0;
    missing->round_trip_known = true;
    missing->round_trip += weight * (seconds - missing->round_trip);
}

/* Note a packet; true when it is news: newer than all, or one that was missing. */
bool rule_missing_arrived(struct rule *rule, struct rule_missing *missing, int64_t sequence, double now, bool again) {
    if (!missing->known || sequence > missing->newest) {
        bool known = missing->known;
        int64_t before = missing->newest;
        missing->known = true;
        missing->newest = sequence;
        if (known && sequence > before + 1)
            add(rule, missing, before + 1, sequence, now);
        return true;
    }
    int index = find(missing, sequence);
    if (index < 0)
        return false;
    struct rule_missing_entry *entry = &missing->entries[index];
    if (again && entry->tries == 1) /* asked once: the answer is to that one request */
        measured(missing, now - entry->since);
    missing->count--;
    memmove(entry, entry + 1, (size_t)(missing->count - index) * sizeof *entry);
    if (!missing->count)
        missing->due = INFINITY;
    return true;
}

int rule_missing_take(struct rule *rule, struct rule_missing *missing, int64_t *numbers, double now) {
    const struct rule_limits *limits = &rule->limits;
    if (now < missing->due)
        return 0;
    double age = missing->voice ? limits->voice_age_s : limits->missing_age_s;
    double least = missing->voice ? limits->voice_retry_s : limits->missing_retry_s;
    double retry = (missing->voice ? 0.5 : 1.5) * missing->round_trip;
    int asked = 0, kept = 0;
    if (retry < least)
        retry = least;
    missing->due = INFINITY;
    for (int index = 0; index < missing->count; index++) {
        struct rule_missing_entry entry = missing->entries[index];
        if (entry.tries >= limits->missing_tries || now - entry.since > age) {
            missing->lost_for_good = true;
            continue;
        }
        if (now >= entry.next) {
            entry.tries++;
            entry.next = now + retry;
            numbers[asked++] = entry.sequence;
        }
        if (entry.next < missing->due)
            missing->due = entry.next;
        missing->entries[kept++] = entry;
    }
    missing->count = kept;
    missing->requested += (uint64_t)asked;
    return asked;
}
