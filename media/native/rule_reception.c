/* Counts one incoming stream: media/relay/feedback.Reception (RFC 3550 appendix A.1, A.8), meter.FrameCount. */
#include "rule_tables.h"

void rule_reception_init(struct rule_reception *reception) {
    *reception = (struct rule_reception){.frame_timestamp = -1};
}

static void count_frame(struct rule_reception *reception, uint32_t timestamp, double freeze_s, double now) {
    if (reception->frames && now - reception->frame_at >= freeze_s)
        reception->frozen_s += now - reception->frame_at;
    reception->frame_timestamp = timestamp;
    reception->frame_at = now;
    reception->frames++;
}

/* One packet with its unwrapped sequence number; padding-only packets count too, as they have one. */
void rule_received(struct rule_reception *reception, int64_t sequence, uint32_t timestamp, size_t size, int clock_rate,
                   double freeze_s, double now) {
    if (!reception->known) {
        reception->known = true;
        reception->first = reception->highest = sequence;
    }
    if (sequence > reception->highest) {
        reception->bursts += sequence > reception->highest + 1;
        reception->highest = sequence;
    }
    if ((int64_t)timestamp != reception->frame_timestamp)
        count_frame(reception, timestamp, freeze_s, now);
    reception->packets++;
    reception->octets += size;
    uint32_t transit = (uint32_t)llrint(now * clock_rate) - timestamp;
    if (reception->transit_known) { /* A.8: J += (|D| - J) / 16 */
        double apart = fabs((double)rule_ts_diff(transit, reception->transit));
        reception->jitter += (apart - reception->jitter) / 16;
    }
    reception->transit = transit;
    reception->transit_known = true;
}

void rule_frames_init(struct rule_frames *frames) {
    *frames = (struct rule_frames){.key_timestamp = -1, .key_at = -INFINITY, .key_gap = INFINITY};
}

/* One packet that was looked at. */
void rule_frames_count(struct rule_frames *frames, const struct rule_packet *packet, double now) {
    frames->spread[packet->temporal_layer] += packet->payload_end;
    if (packet->keyframe && (int64_t)packet->timestamp != frames->key_timestamp) {
        frames->key_timestamp = packet->timestamp;
        frames->key_gap = now - frames->key_at;
        frames->key_at = now;
        frames->key_octets = frames->next_key;
        frames->next_key = 0;
    }
    if ((int64_t)packet->timestamp == frames->key_timestamp)
        frames->next_key += packet->payload_end;
}
