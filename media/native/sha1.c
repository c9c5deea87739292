#include "sha1.h"

#include <string.h>

static const uint32_t BEGIN[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};

static uint32_t turn(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static void put32(uint8_t *bytes, uint32_t word)
{
    for (int at = 0; at < 4; at++)
        bytes[at] = (uint8_t)(word >> (24 - 8 * at));
}

/* FIPS 180-4 section 6.1.2. */
static void take_block(uint32_t state[5], const uint8_t block[SHA1_BLOCK])
{
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int at = 0; at < 16; at++)
        words[at] = (uint32_t)block[4 * at] << 24 | (uint32_t)block[4 * at + 1] << 16
            | (uint32_t)block[4 * at + 2] << 8 | block[4 * at + 3];
    for (int at = 16; at < 80; at++)
        words[at] = turn(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    for (int at = 0; at < 80; at++) {
        uint32_t mixed = at < 20 ? (b & c) | (~b & d) : at >= 40 && at < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t constant = at < 20 ? 0x5A827999 : at < 40 ? 0x6ED9EBA1 : at < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        uint32_t next = turn(a, 5) + mixed + e + constant + words[at];
        e = d;
        d = c;
        c = turn(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* What follows a first block that `state` has taken. */
static void finish(uint32_t state[5], const uint8_t *message, size_t length, uint8_t digest[SHA1_BYTES])
{
    uint8_t last[2 * SHA1_BLOCK] = {0};
    uint64_t bits = 8 * ((uint64_t)length + SHA1_BLOCK);
    for (; length >= SHA1_BLOCK; message += SHA1_BLOCK, length -= SHA1_BLOCK)
        take_block(state, message);
    memcpy(last, message, length);
    last[length] = 0x80;
    size_t size = length + 9 <= SHA1_BLOCK ? SHA1_BLOCK : 2 * SHA1_BLOCK;
    put32(last + size - 8, (uint32_t)(bits >> 32));
    put32(last + size - 4, (uint32_t)bits);
    for (size_t at = 0; at < size; at += SHA1_BLOCK)
        take_block(state, last + at);
    for (int at = 0; at < 5; at++)
        put32(digest + 4 * at, state[at]);
}

static void begin(uint32_t state[5], const uint8_t *bytes, size_t length, uint8_t pad)
{
    uint8_t block[SHA1_BLOCK] = {0};
    memcpy(block, bytes, length);
    for (size_t at = 0; at < SHA1_BLOCK; at++)
        block[at] ^= pad;
    memcpy(state, BEGIN, sizeof BEGIN);
    take_block(state, block);
}

void hmac_key_init(struct hmac_key *key, const uint8_t *bytes, size_t length)
{
    begin(key->inner, bytes, length, 0x36);
    begin(key->outer, bytes, length, 0x5C);
}

void hmac_sha1(const struct hmac_key *key, const uint8_t *message, size_t length, uint8_t digest[SHA1_BYTES])
{
    uint32_t state[5];
    uint8_t inner[SHA1_BYTES];
    memcpy(state, key->inner, sizeof state);
    finish(state, message, length, inner);
    memcpy(state, key->outer, sizeof state);
    finish(state, inner, sizeof inner, digest);
}
