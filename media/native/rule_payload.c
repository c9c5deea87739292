/* What the relay reads of VP8 and H.264 payloads: media/rtp/vp8, h264.
 *
 * RFC 7741 section 4.2:
 *     |X|R|N|S|R| PID |   X: an extension byte follows; S: first packet of a partition
 *     |I|L|T|K|  RSV  |   I: picture id, L: TL0PICIDX, T: temporal layer, K: key index
 *     |M| PictureID   |   M: fifteen bits instead of seven
 *     |   TL0PICIDX   |
 *     |TID|Y| KEYIDX  | */
#include "rule_tables.h"

enum { H264_SLICE = 1, H264_IDR = 5, H264_SPS = 7, H264_STAP_A = 24, H264_FU_A = 28 };

/* The place after the extension, or -1. */
static int parse_vp8_extension(const uint8_t *data, int at, int end, struct rule_vp8 *descriptor) {
    if (at >= end)
        return -1;
    int flags = data[at++];
    bool wide = flags & 0x80 && at < end && data[at] & 0x80;
    int needed = !!(flags & 0x80) + wide + !!(flags & 0x40) + !!(flags & 0x30);
    if (at + needed > end)
        return -1;
    if (flags & 0x80) {
        descriptor->picture_id_at = at;
        descriptor->picture_id_bits = wide ? 15 : 7;
        descriptor->picture_id = wide ? (data[at] & 0x7F) << 8 | data[at + 1] : data[at] & 0x7F;
        at += 1 + wide;
    }
    if (flags & 0x40) {
        descriptor->tl0_at = at;
        descriptor->tl0 = data[at++];
    }
    if (flags & 0x30) {
        if (flags & 0x20) {
            descriptor->temporal_layer = data[at] >> 6;
            descriptor->layer_sync = data[at] & 0x20;
        }
        at++;
    }
    return at;
}

/* False when the descriptor runs over the end, or nothing follows it. */
bool rule_parse_vp8(const uint8_t *data, int start, int end, struct rule_vp8 *descriptor) {
    if (start >= end)
        return false;
    int first = data[start], at = start + 1;
    *descriptor = (struct rule_vp8){.picture_id = -1, .picture_id_at = -1, .tl0 = -1, .tl0_at = -1};
    descriptor->start_of_partition = first & 0x10;
    descriptor->partition = first & 0x07;
    if (first & 0x80)
        at = parse_vp8_extension(data, at, end, descriptor);
    if (at < 0 || at >= end)
        return false;
    descriptor->end = at;
    /* RFC 7741 section 4.3: the P bit of the first byte of the frame is 0 in a key frame */
    descriptor->keyframe = (first & 0x17) == 0x10 && !(data[at] & 0x01);
    return true;
}

/* RFC 6386 section 9.1; false when the first packet is too short to say, or the start code is wrong. */
bool rule_vp8_size(const uint8_t *data, int start, int end, int *width, int *height) {
    if (start + 10 > end || memcmp(data + start + 3, "\x9d\x01\x2a", 3) != 0)
        return false;
    *width = (data[start + 6] | data[start + 7] << 8) & 0x3FFF;
    *height = (data[start + 8] | data[start + 9] << 8) & 0x3FFF;
    return true;
}

static bool begins_picture(int unit) { return unit == H264_IDR || unit == H264_SPS; }

/* RFC 6184 section 5.7.1: |STAP-A NAL HDR|  size (16)  | unit ...|  size  | unit ... ; false when a size does not fit.
 * As Python's generator does, it stops looking at the first unit that begins a picture. */
static bool aggregate_keyframe(const uint8_t *data, int start, int end, bool *keyframe) {
    *keyframe = false;
    for (int at = start + 1; at < end;) {
        if (at + 2 > end)
            return false;
        int size = rule_get16(data + at);
        at += 2;
        if (size == 0 || at + size > end)
            return false;
        if (begins_picture(data[at] & 0x1F)) {
            *keyframe = true;
            return true;
        }
        at += size;
    }
    return true;
}

/* Whether the payload begins an IDR picture or brings the parameter set before one; false when it is malformed. */
bool rule_h264_keyframe(const uint8_t *data, int start, int end, bool *keyframe) {
    *keyframe = false;
    if (start >= end)
        return true;
    int kind = data[start] & 0x1F;
    if (kind == H264_STAP_A)
        return aggregate_keyframe(data, start, end, keyframe);
    if (kind == H264_FU_A)
        *keyframe = end - start >= 2 && data[start + 1] & 0x80 && begins_picture(data[start + 1] & 0x1F);
    else
        *keyframe = begins_picture(kind);
    return true;
}

/* Part of a slice that no other picture refers to (nal_ref_idc 0, H.264 7.4.1). */
bool rule_h264_droppable(const uint8_t *data, int start, int end) {
    if (end - start < 2 || data[start] & 0x60)
        return false;
    int kind = data[start] & 0x1F;
    return kind == H264_SLICE || (kind == H264_FU_A && (data[start + 1] & 0x1F) == H264_SLICE);
}
