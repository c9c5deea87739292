/* An RTP packet's header and extensions, and what is done to a packet once: media/rtp/packet, red; rewrite.normalize.
 *
 * RFC 3550 section 5.1:                                   RFC 8285 section 4.1.2:
 *   |V=2|P|X|  CC   |M|     PT      |  sequence number  |   |       0xBEDE       |   length in words  |
 *   |                   timestamp                       |   |  ID | L-1 | data ...
 *   |                     SSRC                          | */
#include "rule_tables.h"

#define FIXED_HEADER 12
#define ONE_BYTE_PROFILE 0xBEDE
#define TWO_BYTE_PROFILE 0x1000 /* the low four bits are "appbits" */
#define MAX_BLOCKS 16             /* of redundant audio in one packet: Chromium sends at most nine */

/* False whenever a length does not fit the packet. */
bool rule_parse_header(const uint8_t *data, size_t size, struct rule_header *header) {
    if (size < FIXED_HEADER || size > UINT16_MAX || data[0] >> 6 != 2)
        return false;
    header->payload_type = data[1] & 0x7F;
    header->sequence = rule_get16(data + 2);
    header->timestamp = rule_get32(data + 4);
    header->ssrc = rule_get32(data + 8);
    header->extension_profile = header->extension_start = header->extension_end = 0;
    header->extended = data[0] & 0x10;
    size_t start = FIXED_HEADER + 4 * (size_t)(data[0] & 0x0F);
    if (header->extended) {
        if (start + 4 > size)
            return false;
        header->extension_profile = rule_get16(data + start);
        header->extension_start = (uint16_t)(start + 4);
        start += 4 + 4 * (size_t)rule_get16(data + start + 2);
        if (start > size)
            return false;
        header->extension_end = (uint16_t)start;
    }
    if (start > size)
        return false;
    header->payload_start = (uint16_t)start;
    header->payload_end = (uint16_t)size;
    if (data[0] & 0x20) { /* the last octet of the padding counts itself */
        size_t padding = data[size - 1];
        if (padding == 0 || padding > size - start)
            return false;
        header->payload_end = (uint16_t)(size - padding);
    }
    return true;
}

static bool is_two_byte(const struct rule_header *header) {
    return (header->extension_profile & 0xFFF0) == TWO_BYTE_PROFILE;
}

static int next_one_byte(const uint8_t *data, int end, struct rule_element *element) {
    int at = element->position;
    while (at < end) {
        int byte = data[at], id = byte >> 4, length = (byte & 0x0F) + 1;
        if (byte == 0) {
            at++;
            continue;
        }
        if (id == 15) /* RFC 8285 section 4.2: stop, and ignore what follows */
            return 0;
        if (at + 1 + length > end)
            return -1;
        *element = (struct rule_element){id, at + 1, length, at + 1 + length};
        if (id)
            return 1;
        at += 1 + length;
    }
    return 0;
}

static int next_two_byte(const uint8_t *data, int end, struct rule_element *element) {
    int at = element->position;
    while (at < end && data[at] == 0)
        at++;
    if (at >= end)
        return 0;
    if (at + 2 > end || at + 2 + data[at + 1] > end)
        return -1;
    *element = (struct rule_element){data[at], at + 2, data[at + 1], at + 2 + data[at + 1]};
    return 1;
}

int rule_next_element(const uint8_t *data, const struct rule_header *header, struct rule_element *element) {
    if (!element->position)
        element->position = header->extension_start;
    if (header->extension_profile == ONE_BYTE_PROFILE)
        return next_one_byte(data, header->extension_end, element);
    return is_two_byte(header) ? next_two_byte(data, header->extension_end, element) : 0;
}

static int find_one_byte(const uint8_t *data, const struct rule_header *header, int id, int length) {
    int wanted = id << 4 | (length - 1);
    int at = header->extension_start, end = header->extension_end;
    while (at < end) {
        int byte = data[at];
        if (byte == wanted && byte < 0xF0 && at + length < end)
            return at + 1;
        at += byte ? (byte & 0x0F) + 2 : 1;
        if (byte >= 0xF0)
            return -1;
    }
    return at > end ? -2 : -1;
}

int rule_find_extension(const uint8_t *data, const struct rule_header *header, int id, int length) {
    if (header->extension_profile == ONE_BYTE_PROFILE)
        return find_one_byte(data, header, id, length);
    struct rule_element element = {0};
    int more;
    while ((more = rule_next_element(data, header, &element)) > 0)
        if (element.id == id && element.length == length)
            return element.at;
    return more < 0 ? -2 : -1;
}

/* Give every element the router's id or blank it; note where abs-send-time and the number stand. */
static bool renumber_extensions(struct rule_packet *packet, const struct rule_header *header,
                                const struct rule_ingress *ingress) {
    bool one_byte = header->extension_profile == ONE_BYTE_PROFILE;
    int head = one_byte ? 1 : 2;
    struct rule_element element = {0};
    int more;
    packet->send_time_at = packet->number_at = -1;
    while ((more = rule_next_element(packet->data, header, &element)) > 0) {
        uint8_t ours = ingress->extension_ids[element.id];
        uint8_t *value = packet->data + element.at;
        if (!ours) {
            memset(value - head, 0, (size_t)(head + element.length));
            continue;
        }
        if (one_byte)
            value[-1] = (uint8_t)(ours << 4 | (element.length - 1));
        else
            value[-2] = ours;
        if (ours == ingress->send_time_id && element.length == 3)
            packet->send_time_at = (int16_t)element.at;
        else if (ours == ingress->number_id && element.length == 2)
            packet->number_at = (int16_t)element.at;
    }
    return more == 0;
}

static void insert(struct rule_packet *packet, int at, const uint8_t *bytes, int count) {
    memmove(packet->data + at + count, packet->data + at, (size_t)(packet->size - at));
    memcpy(packet->data + at, bytes, (size_t)count);
    packet->size = (uint16_t)(packet->size + count);
}

/* A place for a transport-wide number: one word, two if there was no extension at all. */
static void make_place(struct rule_packet *packet, const struct rule_header *header, uint8_t id) {
    uint8_t one = (uint8_t)(id << 4 | 1);
    if (!header->extended) {
        int at = FIXED_HEADER + 4 * (packet->data[0] & 0x0F);
        packet->data[0] |= 0x10;
        insert(packet, at, (uint8_t[]){0xBE, 0xDE, 0, 1, one, 0, 0, 0}, 8);
        packet->number_at = (int16_t)(at + 5);
        return;
    }
    bool one_byte = header->extension_profile == ONE_BYTE_PROFILE;
    if (!one_byte && !is_two_byte(header))
        return; /* of another kind than RFC 8285's: left alone */
    int at = header->extension_end;
    rule_put16(packet->data + header->extension_start - 2, (unsigned)(at - header->extension_start) / 4 + 1);
    if (one_byte)
        insert(packet, at, (uint8_t[]){one, 0, 0, 0}, 4);
    else
        insert(packet, at, (uint8_t[]){id, 2, 0, 0}, 4);
    packet->number_at = (int16_t)(at + (one_byte ? 1 : 2));
}

/* RFC 2198 section 3: give the blocks the router's payload types and find the newest one (red.renumber).
 *
 *   |1|  block PT   |  timestamp offset (14)  | length (10) |   of each earlier block
 *   |0|  block PT   |                                           of the newest, the primary; then the data */
static bool renumber_red(struct rule_packet *packet, const struct rule_ingress *ingress) {
    uint8_t *data = packet->data;
    int at = packet->payload_start, end = packet->payload_end, earlier = 0, blocks = 0;
    int16_t ours[MAX_BLOCKS + 1];
    bool known = true;
    for (; at + 4 <= end && data[at] & 0x80; at += 4) {
        if (blocks == MAX_BLOCKS)
            return false;
        earlier += (data[at + 2] & 0x03) << 8 | data[at + 3];
        ours[blocks++] = ingress->payload_types[data[at] & 0x7F];
    }
    if (at >= end || data[at] & 0x80 || at + 1 + earlier > end)
        return false;
    ours[blocks++] = ingress->payload_types[data[at] & 0x7F];
    for (int block = 0; block < blocks; block++)
        known = known && ours[block] >= 0 && ours[block] != ingress->red_type;
    if (!known)
        return false;
    for (int block = 0; block < blocks; block++) {
        uint8_t *header = data + packet->payload_start + 4 * block;
        *header = (uint8_t)((*header & 0x80) | ours[block]);
    }
    packet->primary_at = (int16_t)(at + 1 + earlier);
    return true;
}

static bool read_vp8(struct rule_packet *packet) {
    struct rule_vp8 descriptor;
    if (!rule_parse_vp8(packet->data, packet->payload_start, packet->payload_end, &descriptor))
        return false;
    packet->keyframe = descriptor.keyframe;
    packet->starts_frame = descriptor.start_of_partition && descriptor.partition == 0;
    packet->layer_sync = descriptor.layer_sync;
    packet->temporal_layer = descriptor.temporal_layer;
    packet->picture_id = descriptor.picture_id;
    packet->picture_id_bits = descriptor.picture_id_bits;
    packet->picture_id_at = (int16_t)descriptor.picture_id_at;
    packet->tl0 = (int16_t)descriptor.tl0;
    packet->tl0_at = (int16_t)descriptor.tl0_at;
    return true;
}

static bool read_h264(struct rule_packet *packet) {
    if (!rule_h264_keyframe(packet->data, packet->payload_start, packet->payload_end, &packet->keyframe))
        return false;
    if (rule_h264_droppable(packet->data, packet->payload_start, packet->payload_end)) {
        packet->temporal_layer = 1;
        packet->layer_sync = true; /* it refers only to what is always sent */
    }
    return true;
}

enum rule_verdict rule_normalize(struct rule_packet *packet, struct rule_header *header,
                                 const struct rule_ingress *ingress, int64_t sequence, double now) {
    int payload_type = ingress->payload_types[header->payload_type];
    if (payload_type < 0)
        return RULE_NOT_FORWARDED;
    packet->data[1] = (uint8_t)((packet->data[1] & 0x80) | payload_type);
    if (!renumber_extensions(packet, header, ingress))
        return RULE_MALFORMED;
    if (packet->number_at < 0 && ingress->number_id) {
        make_place(packet, header, ingress->number_id);
        if (!rule_parse_header(packet->data, packet->size, header))
            return RULE_MALFORMED;
    }
    packet->sequence = sequence;
    packet->timestamp = header->timestamp;
    packet->received_at = now;
    packet->extension_profile = header->extension_profile;
    packet->payload_start = header->payload_start;
    packet->payload_end = header->payload_end;
    packet->keyframe = packet->starts_frame = true;
    packet->layer_sync = false;
    packet->temporal_layer = packet->picture_id_bits = 0;
    packet->picture_id = packet->picture_id_at = packet->tl0 = packet->tl0_at = packet->primary_at = -1;
    if (payload_type == ingress->red_type && !renumber_red(packet, ingress))
        return RULE_MALFORMED;
    if (ingress->codec == RULE_VP8)
        return read_vp8(packet) ? RULE_OK : RULE_MALFORMED;
    if (ingress->codec == RULE_H264)
        return read_h264(packet) ? RULE_OK : RULE_MALFORMED;
    return RULE_OK;
}

/* For a receiver that knows fewer extensions than the router (rewrite.without_extensions). */
void rule_blank_extensions(uint8_t *data, const struct rule_header *header, const bool *removed) {
    int head = header->extension_profile == ONE_BYTE_PROFILE ? 1 : 2;
    struct rule_element element = {0};
    while (rule_next_element(data, header, &element) > 0)
        if (removed[element.id])
            memset(data + element.at - head, 0, (size_t)(head + element.length));
}
