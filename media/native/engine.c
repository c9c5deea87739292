#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void signal_fd(int fd)
{
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void clear_fd(int fd)
{
    uint64_t value;
    while (read(fd, &value, sizeof value) < 0 && errno == EINTR)
        ;
}

/* Under the lock; whether Python is to be woken for what waits. */
static bool news(struct engine *engine)
{
    if (engine->told || (engine->up.used == 0 && !rule_has_news(engine->rule)))
        return false;
    engine->told = true;
    return true;
}

/* -- receiving -------------------------------------------------------------------------------------------- */

static void tell_python(struct engine *engine, struct engine_peer *peer, enum up_kind kind, const uint8_t *bytes,
    uint32_t length, const struct sockaddr_storage *source, int64_t at_ns)
{
    struct up_record *record = up_reserve(&engine->up, kind, length, peer == NULL);
    if (record == NULL)
        return;
    record->size = length;
    record->peer = peer == NULL ? ADDRESS_NONE : peer->number;
    record->generation = peer == NULL ? 0 : peer->generation;
    record->at_ns = at_ns;
    if (source != NULL)
        record->source = *source;
    memcpy(up_packet(record), bytes, length);
    up_commit(&engine->up, record);
}

void engine_receive(struct engine *engine, struct engine_peer *peer, enum datagram_kind kind, uint8_t *bytes,
    uint32_t length, int64_t at_ns)
{
    bool is_rtp = kind == DATAGRAM_RTP;
    srtp_function function = is_rtp ? srtp_library.unprotect : srtp_library.unprotect_rtcp;
    if (peer->unprotect == NULL || !srtp_in_place(function, peer->unprotect, bytes, &length)) {
        peer->counters.refused++;
        return;
    }
    peer->heard_ns = at_ns;
    double now = (double)at_ns * 1e-9;
    if (is_rtp && peer->rule_peer != NULL)
        rule_receive(engine->rule, peer->rule_peer, bytes, length, now);
    else if (is_rtp || peer->rule_peer == NULL || !rule_hear(peer->rule_peer, bytes, length, now))
        tell_python(engine, peer, is_rtp ? UP_RTP : UP_RTCP, bytes, length, NULL, at_ns);
}

/* A check, or what nobody is known to have sent. Python may be about to learn the address from a check that waits:
 * what follows the check at once, as a handshake and media do after a change of network, waits behind it. */
static void take_strange(struct engine *engine, struct engine_peer *peer, enum datagram_kind kind, unsigned slot,
    const struct address_key *key)
{
    struct engine_check *check = &engine->checks[address_place(&engine->addresses, key, ENGINE_CHECKS)];
    bool is_check = kind == DATAGRAM_STUN;
    if (is_check && peer == NULL)
        *check = (struct engine_check){*key, engine->batch_ns};
    if (!is_check && (memcmp(&check->key, key, sizeof *key) != 0 || engine->batch_ns - check->at_ns > ENGINE_EARLY_NS)) {
        engine->totals.unknown++;
        return;
    }
    tell_python(engine, peer, is_check ? UP_STUN : UP_EARLY, inbox_bytes(&engine->inbox, slot),
        inbox_length(&engine->inbox, slot), &engine->inbox.sources[slot], engine->batch_ns);
}

/* A check from where the peer is reached, which says that it still is: answered without Python. */
static bool answer_check(struct engine *engine, struct engine_peer *peer, unsigned slot, const struct address_key *key)
{
    if (peer == NULL || peer->way != WAY_UDP || peer->consent.ufrag_length == 0)
        return false;
    struct address_key reached = address_key_of(&peer->to.address);
    if (memcmp(key, &reached, sizeof reached) != 0)
        return false;
    size_t size = consent_answer(&peer->consent, inbox_bytes(&engine->inbox, slot),
        inbox_length(&engine->inbox, slot), &engine->inbox.sources[slot], outbox_room(&engine->outbox));
    if (size == 0)
        return false;
    outbox_add(&engine->outbox, &peer->to, (uint32_t)size);
    peer->heard_ns = engine->batch_ns;
    engine->totals.checks++;
    return true;
}

static void take_datagram(struct engine *engine, unsigned slot)
{
    uint8_t *bytes = inbox_bytes(&engine->inbox, slot);
    uint32_t length = inbox_length(&engine->inbox, slot);
    struct sockaddr_storage *source = &engine->inbox.sources[slot];
    enum datagram_kind kind = datagram_classify(bytes, length);
    if (kind == DATAGRAM_GARBAGE) {
        engine->totals.garbage++;
        return;
    }
    struct address_key key = address_key_of(source);
    uint32_t number = address_table_get(&engine->addresses, &key);
    struct engine_peer *peer = number == ADDRESS_NONE ? NULL : engine->peers[number];
    if (kind == DATAGRAM_STUN && answer_check(engine, peer, slot, &key))
        return;
    if (kind == DATAGRAM_STUN || peer == NULL) {
        take_strange(engine, peer, kind, slot, &key);
        return;
    }
    peer->counters.packets_received++;
    peer->counters.bytes_received += length;
    if (kind == DATAGRAM_DTLS)
        tell_python(engine, peer, UP_DTLS, bytes, length, NULL, engine->batch_ns);
    else
        engine_receive(engine, peer, kind, bytes, length, engine->batch_ns);
}

/* -- the thread ------------------------------------------------------------------------------------------- */

/* When the next one is due, if nothing comes before. */
static double batch(struct engine *engine, unsigned count)
{
    pthread_mutex_t *lock = rule_lock(engine->rule);
    int64_t now_ns = monotonic_ns();
    double now = (double)now_ns * 1e-9;
    prompt_work(&engine->prompt, now_ns);
    pthread_mutex_lock(lock);
    engine->in_batch = true;
    engine->batch_ns = now_ns;
    engine->totals.batches += count > 0;
    engine->totals.datagrams += count;
    for (unsigned slot = 0; slot < count; slot++)
        take_datagram(engine, slot);
    if (rule_due(engine->rule) <= now)
        rule_run(engine->rule, now);
    engine->in_batch = false;
    outbox_prepare(&engine->outbox);
    double due = engine->due = rule_due(engine->rule);
    bool wake = news(engine);
    pthread_mutex_unlock(lock);
    if (wake)
        signal_fd(engine->up_fd);
    outbox_transmit(&engine->outbox);
    return due;
}

/* Sleep until a datagram, a call of Python's, or the pace; false when the thread is to end. */
static bool sleep_until(struct engine *engine, double due)
{
    struct pollfd waited[2] = {{.fd = engine->fd, .events = POLLIN}, {.fd = engine->wake_fd, .events = POLLIN}};
    struct timespec left, *timeout = NULL;
    int64_t from_ns = monotonic_ns();
    if (due != INFINITY) {
        double seconds = due - (double)from_ns * 1e-9;
        seconds = seconds < 0 ? 0 : seconds > 1 ? 1 : seconds;
        left.tv_sec = (time_t)seconds;
        left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
        timeout = &left;
    }
    if (ppoll(waited, 2, timeout, NULL) < 0 && errno != EINTR)
        return false;
    int64_t until_ns = monotonic_ns();
    prompt_slept(&engine->prompt, from_ns, until_ns);
    rest_waited(&engine->rest, until_ns - from_ns);
    if (waited[1].revents != 0)
        clear_fd(engine->wake_fd);
    return !atomic_load(&engine->stopping) && !(waited[0].revents & POLLNVAL);
}

/* After a batch: what comes next; false when the thread is to end. */
static bool pause_after(struct engine *engine, unsigned read, double due)
{
    if (read == ENGINE_BATCH) { /* More is there: look at once. */
        rest_full(&engine->rest, engine->batch_ns);
        return !atomic_load(&engine->stopping);
    }
    int64_t now_ns = monotonic_ns();
    int64_t rest_ns = rest_after(&engine->rest, read, engine->batch_ns, now_ns);
    if (rest_ns == 0)
        return sleep_until(engine, due);
    /* Nobody wakes it: what Python or the pace wants can wait as long as a packet may. */
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (long)rest_ns}, NULL);
    prompt_slept(&engine->prompt, now_ns, monotonic_ns());
    return !atomic_load(&engine->stopping);
}

static void *run(void *argument)
{
    struct engine *engine = argument;
    unsigned read = 0;
    double due = INFINITY;
    prompt_init(&engine->prompt, monotonic_ns());
    do {
        read = inbox_read(&engine->inbox, ENGINE_BATCH);
        due = batch(engine, read);
    } while (pause_after(engine, read, due));
    return NULL;
}

bool engine_init(struct engine *engine, int fd, struct rule *rule, uint32_t most_peers, size_t up_bytes)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    memset(engine, 0, sizeof *engine);
    engine->fd = fd;
    engine->rule = rule;
    engine->peers_most = most_peers;
    engine->due = INFINITY;
    engine->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine->up_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (engine->wake_fd < 0 || engine->up_fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &length) < 0
        || !address_table_init(&engine->addresses) || !inbox_init(&engine->inbox, fd, ENGINE_BATCH)
        || !outbox_init(&engine->outbox, fd, ENGINE_OUT_SLOTS, true)
        || !outbox_init(&engine->side, fd, ENGINE_OUT_SLOTS, true) || !up_init(&engine->up, up_bytes)) {
        engine_free(engine);
        return false;
    }
    engine->family = bound.ss_family;
    rule_set_sink(rule, engine_sink(engine));
    return true;
}

bool engine_start(struct engine *engine)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals are Python's: the thread takes none. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    engine->process = getpid();
    prompt_slices(ENGINE_PYTHON_SLICE_NS);
    engine->running = pthread_create(&engine->thread, NULL, run, engine) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (engine->running)
        pthread_setname_np(engine->thread, "huizhen-media");
    return engine->running;
}

void engine_stop(struct engine *engine)
{
    if (!engine->running)
        return;
    engine->running = false;
    if (engine->process != getpid())
        return;
    atomic_store(&engine->stopping, true);
    signal_fd(engine->wake_fd);
    pthread_join(engine->thread, NULL);
}

void engine_free(struct engine *engine)
{
    for (uint32_t number = 0; number < engine->peers_room; number++)
        free(engine->peers[number]);
    free(engine->peers);
    if (engine->addresses.slots != NULL)
        address_table_free(&engine->addresses);
    inbox_free(&engine->inbox);
    outbox_free(&engine->outbox);
    outbox_free(&engine->side);
    up_free(&engine->up);
    if (engine->wake_fd >= 0)
        close(engine->wake_fd);
    if (engine->up_fd >= 0)
        close(engine->up_fd);
    memset(engine, 0, sizeof *engine);
    engine->wake_fd = engine->up_fd = -1;
}

/* -- what Python asks for --------------------------------------------------------------------------------- */

const uint8_t *engine_take(struct engine *engine, size_t *bytes)
{
    const uint8_t *all = up_take(&engine->up, bytes);
    engine->told = false;
    if (news(engine)) /* what the rule had to tell since Python asked it */
        signal_fd(engine->up_fd);
    return all;
}

void engine_settle(struct engine *engine)
{
    if (engine->side.count > 0)
        outbox_flush(&engine->side);
    if (rule_due(engine->rule) < engine->due) {
        engine->due = rule_due(engine->rule);
        signal_fd(engine->wake_fd);
    }
    if (news(engine))
        signal_fd(engine->up_fd);
}
