/* The engine's life, its thread, and what Python says to it. One mutex guards everything; a turn of the loop holds
 * it for one batch each way. */
#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_BYTES (64 << 20)

static void prepare(struct batch *b, bool sending)
{
    for (int i = 0; i < BATCH; i++) {
        b->vectors[i] = (struct iovec){b->data[i], SLOT};
        b->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = b->vectors + i,
            .msg_iovlen = 1,
            .msg_control = b->control[i],
            .msg_controllen = sending ? CMSG_SPACE(sizeof(struct in_pktinfo)) : sizeof b->control[i],
            .msg_name = sending ? b->addresses + i : NULL,
            .msg_namelen = sending ? sizeof b->addresses[i] : 0,
        };
    }
}

static int open_socket(uint16_t port, uint16_t *bound)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1, bytes = SOCKET_BYTES;
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t length = sizeof any;
    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || getsockname(fd, (struct sockaddr *)&any, &length) < 0) {
        close(fd);
        return -1;
    }
    *bound = ntohs(any.sin_port);
    return fd;
}

struct lt_engine *lt_open(uint32_t base_ip, uint16_t port, const struct lt_functions *functions, int32_t most_transports,
                          int32_t most_tracks, int32_t most_streams)
{
    struct lt_engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->fd = open_socket(port, &e->port);
    e->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    e->base_ip = base_ip;
    e->srtp = *functions;
    e->most_transports = most_transports;
    e->most_tracks = most_tracks;
    e->most_streams = most_streams;
    e->transports = calloc((size_t)most_transports, sizeof *e->transports);
    e->tracks = calloc((size_t)most_tracks, sizeof *e->tracks);
    e->streams = calloc((size_t)most_streams, sizeof *e->streams);
    e->ring = malloc(RING * sizeof *e->ring);
    e->stream_table = malloc(STREAM_SLOTS * sizeof *e->stream_table);
    e->check_every = 1;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->turned, NULL);
    if (e->fd < 0 || e->event_fd < 0 || !e->transports || !e->tracks || !e->streams || !e->ring || !e->stream_table ||
        most_streams * 2 > STREAM_SLOTS / 2) {
        lt_close(e);
        return NULL;
    }
    memset(e->stream_table, 0xff, STREAM_SLOTS * sizeof *e->stream_table);
    uint32_t x = 2463534242u; /* xorshift: the same content in every run */
    for (size_t i = 0; i < sizeof e->filler; i++) {
        x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        e->filler[i] = (uint8_t)x;
    }
    prepare(&e->in, false);
    prepare(&e->out, true);
    return e;
}

void lt_close(struct lt_engine *e)
{
    if (e->fd >= 0)
        close(e->fd);
    if (e->event_fd >= 0)
        close(e->event_fd);
    for (int32_t i = 0; e->transports && i < e->most_transports; i++)
        free(e->transports[i].arrivals);
    for (int32_t i = 0; e->tracks && i < e->most_tracks; i++)
        free(e->tracks[i].sizes);
    free(e->transports);
    free(e->tracks);
    free(e->streams);
    free(e->ring);
    free(e->stream_table);
    pthread_cond_destroy(&e->turned);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

int32_t lt_port(const struct lt_engine *e) { return e->port; }
int32_t lt_event_fd(const struct lt_engine *e) { return e->event_fd; }
void lt_stop(struct lt_engine *e) { atomic_store(&e->stopping, true); }

void lt_run(struct lt_engine *e)
{
    /* Before everybody else on the core; where that is not allowed, figures say so by `frames_late`. */
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -15);
    uint64_t reports_due = 0;
    while (!atomic_load(&e->stopping)) {
        pthread_mutex_lock(&e->lock);
        uint64_t now = lt_now();
        bool more = lt_receive(e, now);
        uint64_t frames_due = lt_send_due(e, now);
        if (now >= reports_due)
            reports_due = lt_send_reports(e, now);
        e->turns++;
        pthread_cond_broadcast(&e->turned);
        pthread_mutex_unlock(&e->lock);
        if (more)
            continue;
        uint64_t due = frames_due < reports_due ? frames_due : reports_due;
        uint64_t after = lt_now(), most = 10000000; /* Python's calls are noticed within 10 ms */
        uint64_t wait = due > after ? due - after : 0;
        wait = wait < most ? wait : most;
        if (!wait)
            continue;
        struct timespec t = {0, (long)wait};
        struct pollfd p = {e->fd, POLLIN, 0};
        ppoll(&p, 1, &t, NULL);
    }
}

void lt_turn(struct lt_engine *e)
{
    pthread_mutex_lock(&e->lock);
    uint64_t next = e->turns + 1;
    while (e->turns < next && !atomic_load(&e->stopping))
        pthread_cond_wait(&e->turned, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

int32_t lt_transport_add(struct lt_engine *e, uint32_t remote_ip, uint16_t remote_port)
{
    pthread_mutex_lock(&e->lock);
    int32_t number = 0;
    while (number < e->most_transports && e->transports[number].used)
        number++;
    if (number == e->most_transports) {
        number = -1;
    } else {
        struct transport *t = e->transports + number;
        uint64_t *arrivals = t->arrivals;
        *t = (struct transport){.used = true,
                                .remote_ip = remote_ip,
                                .remote_port = remote_port,
                                .local_ip = e->base_ip + (uint32_t)number,
                                .arrivals = arrivals,
                                .first_stream = -1};
        if (number >= e->used_transports)
            e->used_transports = number + 1;
    }
    pthread_mutex_unlock(&e->lock);
    return number;
}

void lt_transport_remote(struct lt_engine *e, int32_t number, uint32_t remote_ip, uint16_t remote_port)
{
    pthread_mutex_lock(&e->lock);
    e->transports[number].remote_ip = remote_ip;
    e->transports[number].remote_port = remote_port;
    pthread_mutex_unlock(&e->lock);
}

void lt_transport_remove(struct lt_engine *e, int32_t number)
{
    pthread_mutex_lock(&e->lock);
    e->transports[number].used = e->transports[number].keyed = false;
    pthread_mutex_unlock(&e->lock);
}

int32_t lt_send_plain(struct lt_engine *e, int32_t number, const uint8_t *data, int32_t length)
{
    if (length < 0 || length > SLOT)
        return -1;
    pthread_mutex_lock(&e->lock);
    memcpy(lt_slot(e), data, (size_t)length);
    lt_push(e, e->transports + number, length, false);
    lt_flush(e);
    pthread_mutex_unlock(&e->lock);
    return length;
}

int32_t lt_set_keys(struct lt_engine *e, int32_t number, void *outbound, void *inbound, int32_t number_id)
{
    pthread_mutex_lock(&e->lock);
    struct transport *t = e->transports + number;
    if (number_id && !t->arrivals)
        t->arrivals = calloc(ARRIVALS, sizeof *t->arrivals);
    t->outbound = outbound;
    t->inbound = inbound;
    t->number_id = t->arrivals ? (uint8_t)number_id : 0;
    /* Spread over the interval, as people join at any time. */
    uint64_t now = lt_now();
    t->feedback_due = now + (uint64_t)number * 7919 % 97 * (FEEDBACK_NS / 97);
    t->report_due = now + (uint64_t)number * 7919 % 97 * (REPORT_NS / 97);
    t->keyed = true;
    pthread_mutex_unlock(&e->lock);
    return t->number_id == number_id ? 0 : -1;
}

int32_t lt_track_add(struct lt_engine *e, const struct lt_track_config *config)
{
    if (!config->sizes_count || !config->frame_ns || config->packet_size < 80 || config->packet_size > 1300)
        return -1;
    pthread_mutex_lock(&e->lock);
    int32_t number = 0;
    while (number < e->most_tracks && e->tracks[number].used)
        number++;
    if (number == e->most_tracks) {
        number = -1;
    } else {
        struct track *k = e->tracks + number;
        free(k->sizes);
        *k = (struct track){.used = true, .config = *config, .key_wanted = true};
        k->sizes = malloc(config->sizes_count * sizeof *k->sizes);
        memcpy(k->sizes, config->frame_sizes, config->sizes_count * sizeof *k->sizes);
        k->at = (uint32_t)number % config->sizes_count;
        k->sequence = (uint16_t)(config->ssrc & 0x7fff);
        k->first_timestamp = config->ssrc * 2654435761u;
        k->began_ns = lt_now();
        if (number >= e->used_tracks)
            e->used_tracks = number + 1;
    }
    pthread_mutex_unlock(&e->lock);
    return number;
}

void lt_track_remove(struct lt_engine *e, int32_t number)
{
    pthread_mutex_lock(&e->lock);
    e->tracks[number].used = e->tracks[number].active = false;
    pthread_mutex_unlock(&e->lock);
}

void lt_track_active(struct lt_engine *e, int32_t number, int32_t active, uint64_t start_ns)
{
    pthread_mutex_lock(&e->lock);
    e->tracks[number].active = active;
    e->tracks[number].due_ns = start_ns ? start_ns : lt_now();
    pthread_mutex_unlock(&e->lock);
}

void lt_track_pace(struct lt_engine *e, int32_t number, uint64_t frame_ns)
{
    pthread_mutex_lock(&e->lock);
    if (frame_ns)
        e->tracks[number].config.frame_ns = frame_ns;
    pthread_mutex_unlock(&e->lock);
}

int32_t lt_take(struct lt_engine *e, uint8_t *into, int32_t room, int32_t *transport)
{
    int32_t length = 0;
    pthread_mutex_lock(&e->lock);
    if (e->ring_tail != e->ring_head) {
        struct ring_slot *slot = e->ring + e->ring_tail++ % RING;
        length = slot->length < room ? slot->length : room;
        *transport = slot->transport;
        memcpy(into, slot->data, (size_t)length);
    } else {
        uint64_t count;
        if (read(e->event_fd, &count, sizeof count) < 0)
            length = 0; /* nothing was written since: all is taken */
    }
    pthread_mutex_unlock(&e->lock);
    return length;
}

void lt_closed_loop(struct lt_engine *e, int32_t window)
{
    pthread_mutex_lock(&e->lock);
    e->window = window;
    e->under_way = 0;
    e->heard_ns = lt_now();
    pthread_mutex_unlock(&e->lock);
}

void lt_check_every(struct lt_engine *e, int32_t n)
{
    pthread_mutex_lock(&e->lock);
    e->check_every = n > 0 ? n : 1;
    pthread_mutex_unlock(&e->lock);
}

void lt_reset(struct lt_engine *e)
{
    pthread_mutex_lock(&e->lock);
    memset(&e->totals, 0, sizeof e->totals);
    memset(e->delays, 0, sizeof e->delays);
    for (int32_t i = 0; i < e->most_streams; i++) {
        struct stream *s = e->streams + i;
        if (s->used && s->started) {
            s->base = s->newest + 1;
            s->arrived = s->since_report = s->expected_at_report = 0;
        }
    }
    pthread_mutex_unlock(&e->lock);
}

void lt_read(struct lt_engine *e, struct lt_totals *totals, uint32_t delay_buckets[LT_BUCKETS])
{
    pthread_mutex_lock(&e->lock);
    e->totals.holes = e->totals.silent_streams = 0;
    for (int32_t i = 0; i < e->most_streams; i++) {
        const struct stream *s = e->streams + i;
        if (!s->used)
            continue;
        uint64_t span = s->started ? s->newest - s->base + 1 : 0;
        e->totals.holes += span > s->arrived ? span - s->arrived : 0;
        e->totals.silent_streams += s->arrived == 0;
    }
    *totals = e->totals;
    memcpy(delay_buckets, e->delays, sizeof e->delays);
    pthread_mutex_unlock(&e->lock);
}

int32_t lt_stream_read(struct lt_engine *e, int32_t number, uint64_t *arrived, uint64_t *holes, uint64_t *first_ns)
{
    pthread_mutex_lock(&e->lock);
    const struct stream *s = e->streams + number;
    int32_t found = number >= 0 && number < e->most_streams && s->used;
    if (found) {
        uint64_t span = s->started ? s->newest - s->base + 1 : 0;
        *arrived = s->arrived;
        *holes = span > s->arrived ? span - s->arrived : 0;
        *first_ns = s->first_ns;
    }
    pthread_mutex_unlock(&e->lock);
    return found;
}
