/* Numbers, clocks and packets of the rule: what rule_numbers.c, rule_packet.c and rule_payload.c are about. */
#ifndef RULE_PACKET_H
#define RULE_PACKET_H

#include "rule.h"

#include <math.h>
#include <string.h>

static inline uint16_t rule_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t rule_get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void rule_put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void rule_put32(uint8_t *at, uint32_t value) {
    rule_put16(at, value >> 16);
    rule_put16(at + 2, value);
}

/* -- numbers (rule_numbers.c) ---------------------------------------------------------------------------- */

struct rule_unwrapper {
    int64_t last;
    uint8_t bits; /* 15 or 16 .. */
    bool known;
};
void rule_unwrapper_init(struct rule_unwrapper *unwrapper, int bits);
int64_t rule_unwrap(struct rule_unwrapper *unwrapper, uint32_t value);

struct rule_numbers { /* numbering.NumberMap */
    int64_t delta, first, newest, newest_out;
    int64_t *drops; /* ring of `most`, rising; NULL until something was dropped */
    int most, count, start;
};
void rule_numbers_init(struct rule_numbers *map, int64_t first_out, int most);
void rule_numbers_free(struct rule_numbers *map);
void rule_numbers_restart(struct rule_numbers *map, int64_t number);
void rule_numbers_drop(struct rule_numbers *map, int64_t number);
bool rule_numbers_map(struct rule_numbers *map, int64_t number, int64_t *out);

struct rule_clock { /* rtp.clocks.ClockMap */
    uint64_t ntp;
    uint32_t rtp_timestamp;
    double received_at;
    bool known;
};
int32_t rule_ts_diff(uint32_t a, uint32_t b);
uint64_t rule_ntp_of(const struct rule_clock *clock, uint32_t timestamp, int clock_rate);
uint32_t rule_rtp_of(const struct rule_clock *clock, uint64_t ntp, int clock_rate);
uint32_t rule_continued(bool reported, uint32_t by_reports, bool started, uint32_t last, double elapsed,
                        int clock_rate, uint32_t timestamp);
uint32_t rule_send_time(double now);

/* -- packets (rule_packet.c, rule_payload.c) ------------------------------------------------------------- */

struct rule_header { /* rtp.packet.RtpHeader */
    uint32_t timestamp, ssrc;
    uint16_t sequence, extension_profile;
    uint16_t extension_start, extension_end, payload_start, payload_end;
    uint8_t payload_type;
    bool extended; /* the X bit */
};

/* One packet in the router's numbers, with its own values beside it; -1 = absent (rewrite.MediaPacket). */
struct rule_packet {
    struct rule_packet *next; /* in the pool's free list, or in a bucket of a history */
    int64_t sequence;         /* unwrapped, of its layer */
    int64_t picture_id;       /* unwrapped, of its layer */
    double received_at;
    uint32_t timestamp;
    int32_t references;
    uint16_t size, extension_profile, payload_start, payload_end;
    int16_t send_time_at, number_at, primary_at, picture_id_at, tl0_at, tl0;
    uint8_t picture_id_bits, temporal_layer;
    bool keyframe, starts_frame, layer_sync;
    uint8_t data[];
};

enum rule_codec { RULE_OTHER, RULE_OPUS, RULE_VP8, RULE_H264 };

struct rule_ingress {           /* rewrite.Ingress; -1 or 0 = absent */
    int16_t payload_types[128]; /* the producer's to the router's */
    int16_t rtx_payload_types[128];
    uint8_t extension_ids[256];
    uint8_t send_time_id, number_id, level_id;
    int16_t red_type;
    enum rule_codec codec;
};

bool rule_parse_header(const uint8_t *data, size_t size, struct rule_header *header);

struct rule_element { /* walks header extensions: start with {0} */
    int id, at, length;
    int position;
};
/* 1 = an element, 0 = the end, -1 = malformed. */
int rule_next_element(const uint8_t *data, const struct rule_header *header, struct rule_element *element);
/* rtp.packet.find_extension: the value's place, -1 = absent, -2 = malformed. */
int rule_find_extension(const uint8_t *data, const struct rule_header *header, int id, int length);

enum rule_verdict { RULE_OK, RULE_NOT_FORWARDED, RULE_MALFORMED };
/* `packet->data` holds the packet; its fields are filled. The picture id is as it stands. */
enum rule_verdict rule_normalize(struct rule_packet *packet, struct rule_header *header,
                                 const struct rule_ingress *ingress, int64_t sequence, double now);
void rule_blank_extensions(uint8_t *data, const struct rule_header *header, const bool *removed);

struct rule_vp8 {
    int end, picture_id, picture_id_at, tl0, tl0_at;
    uint8_t picture_id_bits, temporal_layer, partition;
    bool start_of_partition, layer_sync, keyframe;
};
bool rule_parse_vp8(const uint8_t *data, int start, int end, struct rule_vp8 *descriptor);
bool rule_vp8_size(const uint8_t *data, int start, int end, int *width, int *height);
bool rule_h264_keyframe(const uint8_t *data, int start, int end, bool *keyframe);
bool rule_h264_droppable(const uint8_t *data, int start, int end);

#endif
