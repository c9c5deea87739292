/* The floor under every forwarder: receive, unprotect once, protect and send for each sink, and nothing else. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct floor {
    struct batch in, out;
    struct sockaddr_in *sinks;
};

static void flush(struct floor *f, int fd)
{
    int done = 0;
    while (done < f->out.count) {
        int sent = sendmmsg(fd, f->out.messages + done, (unsigned)(f->out.count - done), 0);
        if (sent > 0)
            done += sent;
        else if (errno != EINTR)
            done++;
    }
    f->out.count = 0;
}

static void prepare(struct floor *f)
{
    for (int i = 0; i < BATCH; i++) {
        f->in.vectors[i] = (struct iovec){f->in.data[i], SLOT};
        f->in.messages[i].msg_hdr = (struct msghdr){.msg_iov = f->in.vectors + i, .msg_iovlen = 1,
                                                    .msg_name = f->in.addresses + i};
        f->out.vectors[i] = (struct iovec){f->out.data[i], SLOT};
        f->out.messages[i].msg_hdr = (struct msghdr){.msg_iov = f->out.vectors + i, .msg_iovlen = 1,
                                                     .msg_namelen = sizeof(struct sockaddr_in)};
    }
}

int32_t lt_floor(int32_t fd, const struct lt_functions *srtp, int32_t sources, const uint32_t *source_ips,
                 void *const *inbound, const int32_t *first_sink, const uint32_t *sink_ips, uint16_t port,
                 void *const *outbound)
{
    struct floor *f = calloc(1, sizeof *f);
    int32_t all = first_sink[sources];
    if (!f || !(f->sinks = calloc((size_t)all, sizeof *f->sinks)))
        return -1;
    prepare(f);
    for (int32_t i = 0; i < all; i++)
        f->sinks[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
                                           .sin_addr.s_addr = htonl(sink_ips[i])};
    for (;;) {
        for (int i = 0; i < BATCH; i++)
            f->in.messages[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        int count = recvmmsg(fd, f->in.messages, BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0) {
            struct pollfd p = {fd, POLLIN, 0};
            poll(&p, 1, -1);
            continue;
        }
        for (int i = 0; i < count; i++) {
            /* Sources have consecutive addresses: the table is an array. */
            uint32_t source = ntohl(f->in.addresses[i].sin_addr.s_addr) - source_ips[0];
            uint8_t *p = f->in.data[i];
            int length = (int)f->in.messages[i].msg_len;
            if (source >= (uint32_t)sources || (p[1] >= 192 && p[1] <= 223) ||
                srtp->unprotect(inbound[source], p, &length) != 0)
                continue;
            for (int32_t k = first_sink[source]; k < first_sink[source + 1]; k++) {
                if (f->out.count == BATCH)
                    flush(f, fd);
                int o = f->out.count, size = length;
                memcpy(f->out.data[o], p, (size_t)length);
                if (srtp->protect(outbound[k], f->out.data[o], &size) != 0)
                    continue;
                f->out.vectors[o].iov_len = (size_t)size;
                f->out.messages[o].msg_hdr.msg_name = f->sinks + k;
                f->out.count++;
            }
        }
        flush(f, fd);
    }
}
