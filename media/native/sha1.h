/* HMAC-SHA1 (RFC 2104, FIPS 180-4), as STUN's MESSAGE-INTEGRITY is made with it (RFC 8489 section 14.5). */
#ifndef HUIZHEN_SHA1_H
#define HUIZHEN_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20, SHA1_BLOCK = 64 };

/* A key, ready to begin with: the state behind its inner and behind its outer block. */
struct hmac_key {
    uint32_t inner[5], outer[5];
};

/* At most SHA1_BLOCK bytes of key. */
void hmac_key_init(struct hmac_key *key, const uint8_t *bytes, size_t length);
void hmac_sha1(const struct hmac_key *key, const uint8_t *message, size_t length, uint8_t digest[SHA1_BYTES]);

#endif
