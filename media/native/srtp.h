/* libsrtp's functions by address: pylibsrtp's wheel carries the library, so nothing is linked here. */
#ifndef HUIZHEN_SRTP_H
#define HUIZHEN_SRTP_H

#include <stdbool.h>
#include <stdint.h>

/* What libsrtp may append: tag 16, SRTCP index 4, MKI 128 (SRTP_MAX_SRTCP_TRAILER_LEN). */
enum { SRTP_TRAILER = 4 + 16 + 128 };

/* srtp_err_status_t f(srtp_t, void *, int *); 0 is success. The signature is checked in Python before `bind`. */
typedef int (*srtp_function)(void *context, void *packet, int *length);

struct srtp_functions {
    srtp_function protect;
    srtp_function unprotect;
    srtp_function protect_rtcp;
    srtp_function unprotect_rtcp;
};

/* Written once, by `bind`, before any other thread uses this module. */
extern struct srtp_functions srtp_library;

static inline bool srtp_in_place(srtp_function function, void *context, uint8_t *packet, uint32_t *length)
{
    int size = (int)*length;
    if (function(context, packet, &size) != 0)
        return false;
    *length = (uint32_t)size;
    return true;
}

#endif
