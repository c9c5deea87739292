#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "consent.h"

#include <netinet/in.h>
#include <string.h>

enum {
    HEADER = 20,
    REQUEST = 0x0001,
    RESPONSE = 0x0101,
    USERNAME = 0x0006,
    INTEGRITY = 0x0008,
    MAPPED = 0x0020,
    USE_CANDIDATE = 0x0025,
    FINGERPRINT = 0x8028,
    CONTROLLED = 0x8029,
    INTEGRITY_BYTES = 4 + SHA1_BYTES,
    FINGERPRINT_BYTES = 8,
};
static const uint32_t COOKIE = 0x2112A442, FINGERPRINT_XOR = 0x5354554E;

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xFFFF);
}

/* CRC-32 of ITU V.42, four bits at a time. */
static uint32_t crc32_of(const uint8_t *bytes, size_t length)
{
    static const uint32_t NIBBLES[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278,
        0xBDBDF21C};
    uint32_t crc = 0xFFFFFFFF;
    for (size_t at = 0; at < length; at++) {
        crc ^= bytes[at];
        crc = crc >> 4 ^ NIBBLES[crc & 15];
        crc = crc >> 4 ^ NIBBLES[crc & 15];
    }
    return ~crc;
}

bool consent_set(struct consent *consent, const char *ufrag, size_t ufrag_length, const uint8_t *password,
    size_t password_length, bool nominated)
{
    if (ufrag_length > CONSENT_UFRAG_MOST || password_length > CONSENT_PASSWORD_MOST)
        return false;
    memcpy(consent->ufrag, ufrag, ufrag_length);
    consent->ufrag_length = ufrag_length;
    consent->nominated = nominated;
    hmac_key_init(&consent->key, password, password_length);
    return true;
}

struct check { /* where its attributes stand, the first of each; 0 = it has none */
    size_t username, integrity, use_candidate, controlled;
};

/* The attributes up to MESSAGE-INTEGRITY, and a right FINGERPRINT if there is one; false = not as it should be. */
static bool read_check(const uint8_t *bytes, size_t length, struct check *check)
{
    int attributes = 0;
    if (length < HEADER || length % 4 || get16(bytes) != REQUEST || get16(bytes + 2) != length - HEADER
        || get32(bytes + 4) != COOKIE)
        return false;
    for (size_t at = HEADER; at < length;) {
        unsigned kind = get16(bytes + at);
        size_t size = get16(bytes + at + 2);
        if (at + 4 + size > length || ++attributes > CONSENT_ATTRIBUTES_MOST)
            return false;
        if (kind == FINGERPRINT) {
            if (at + FINGERPRINT_BYTES != length || size != 4
                || get32(bytes + at + 4) != (crc32_of(bytes, at) ^ FINGERPRINT_XOR))
                return false;
        } else if (!check->integrity) {
            size_t *place = kind == USERNAME ? &check->username
                : kind == INTEGRITY          ? &check->integrity
                : kind == USE_CANDIDATE      ? &check->use_candidate
                : kind == CONTROLLED         ? &check->controlled
                                             : NULL;
            if (place != NULL && *place == 0)
                *place = at;
        }
        at += 4 + (size + 3) / 4 * 4;
    }
    return true;
}

/* USERNAME is ours:theirs. */
static bool is_for(const struct consent *consent, const uint8_t *attribute)
{
    size_t size = get16(attribute + 2), ours = consent->ufrag_length;
    return size >= ours && memcmp(attribute + 4, consent->ufrag, ours) == 0
        && (size == ours || attribute[4 + ours] == ':');
}

/* RFC 8489 section 14.5: over what stands before it, as if it were the last attribute. */
static bool is_authentic(const struct consent *consent, uint8_t *bytes, size_t at)
{
    uint8_t digest[SHA1_BYTES], differs = 0;
    unsigned length = get16(bytes + 2);
    if (get16(bytes + at + 2) != SHA1_BYTES)
        return false;
    put16(bytes + 2, at - HEADER + INTEGRITY_BYTES);
    hmac_sha1(&consent->key, bytes, at, digest);
    put16(bytes + 2, length);
    for (int index = 0; index < SHA1_BYTES; index++) /* takes as long whatever differs */
        differs |= digest[index] ^ bytes[at + 4 + (size_t)index];
    return differs == 0;
}

/* XOR-MAPPED-ADDRESS; its size. An IPv4 peer of a socket bound to :: knows nothing of IPv6. */
static size_t put_address(uint8_t *at, const struct sockaddr_storage *source, const uint8_t *transaction)
{
    uint8_t mask[16], ip[16];
    size_t size = 4;
    in_port_t port;
    put32(mask, COOKIE);
    memcpy(mask + 4, transaction, 12);
    if (source->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)source;
        memcpy(ip, &v4->sin_addr, 4);
        port = v4->sin_port;
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)source;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        size = mapped ? 4 : 16;
        memcpy(ip, (const uint8_t *)&v6->sin6_addr + 16 - size, size);
        port = v6->sin6_port;
    }
    put16(at, MAPPED);
    put16(at + 2, 4 + size);
    put16(at + 4, size == 4 ? 1 : 2);
    put16(at + 6, ntohs(port) ^ COOKIE >> 16);
    for (size_t index = 0; index < size; index++)
        at[8 + index] = ip[index] ^ mask[index];
    return 8 + size;
}

static size_t build(const struct consent *consent, const struct sockaddr_storage *source, const uint8_t *transaction,
    uint8_t *answer)
{
    size_t used = HEADER;
    put16(answer, RESPONSE);
    put32(answer + 4, COOKIE);
    memcpy(answer + 8, transaction, 12);
    used += put_address(answer + used, source, transaction);
    put16(answer + 2, used - HEADER + INTEGRITY_BYTES);
    hmac_sha1(&consent->key, answer, used, answer + used + 4);
    put16(answer + used, INTEGRITY);
    put16(answer + used + 2, SHA1_BYTES);
    used += INTEGRITY_BYTES;
    put16(answer + 2, used - HEADER + FINGERPRINT_BYTES);
    put16(answer + used, FINGERPRINT);
    put16(answer + used + 2, 4);
    put32(answer + used + 4, crc32_of(answer, used) ^ FINGERPRINT_XOR);
    return used + FINGERPRINT_BYTES;
}

size_t consent_answer(const struct consent *consent, uint8_t *check, size_t length,
    const struct sockaddr_storage *source, uint8_t *answer)
{
    struct check found = {0};
    if (!consent->ufrag_length || !read_check(check, length, &found) || !found.username || !found.integrity
        || found.controlled || (found.use_candidate && !consent->nominated)
        || !is_for(consent, check + found.username) || !is_authentic(consent, check, found.integrity))
        return 0;
    return build(consent, source, check + 8, answer);
}
