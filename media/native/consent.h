/* Checks by which a peer says that it is still there, from where it is reached already (RFC 7675): answered here, as
 * they change nothing. Any other check is Python's (media.transport.ice), as is every one that is not right. */
#ifndef HUIZHEN_CONSENT_H
#define HUIZHEN_CONSENT_H

#include "sha1.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    CONSENT_UFRAG_MOST = 32,
    CONSENT_PASSWORD_MOST = SHA1_BLOCK,
    CONSENT_ATTRIBUTES_MOST = 32, /* as media.limits.MAX_STUN_ATTRIBUTES */
    CONSENT_ANSWER_MOST = 20 + 24 + 24 + 8, /* header, an IPv6 address, integrity, fingerprint */
};

struct consent {
    char ufrag[CONSENT_UFRAG_MOST]; /* ours */
    size_t ufrag_length;            /* 0: every check goes up */
    bool nominated;                 /* the pair in use is nominated: a check that nominates it is no news */
    struct hmac_key key;
};

/* False: too long. An empty ufrag: nothing is answered from now on. */
bool consent_set(struct consent *consent, const char *ufrag, size_t ufrag_length, const uint8_t *password,
    size_t password_length, bool nominated);
/* The answer to a check that is right and changes nothing, into `answer` (CONSENT_ANSWER_MOST); its size, 0 = it is
 * Python's. `check` is written into and as it was again. */
size_t consent_answer(const struct consent *consent, uint8_t *check, size_t length,
    const struct sockaddr_storage *source, uint8_t *answer);

#endif
