/* The media socket's own thread: receive -> whose is it -> unprotect -> rule -> protect -> send, without the GIL.
 *
 * One lock, the rule's (`rule_lock`), guards every table: the rule's, the peers, their SRTP contexts, addresses, what
 * goes up. The thread holds it for one batch of datagrams in (at most ENGINE_BATCH) and not in a system call, but
 * where so much goes out that its outbox is full. Python holds it for a call. DESIGN.md says who touches what.
 *
 * What Python's calls make the rule send stands in an outbox of its own; the sink's `settle`, which ends each of them,
 * empties it.
 *
 * No Python object is touched while the lock is held: an allocation can run a destructor that wants it. */
#ifndef HUIZHEN_ENGINE_H
#define HUIZHEN_ENGINE_H

#include "batch.h"
#include "consent.h"
#include "prompt.h"
#include "rest.h"
#include "rule.h"
#include "up.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum { ENGINE_BATCH = 64, ENGINE_OUT_SLOTS = 256, ENGINE_CHECKS = 256 };

#define ENGINE_PYTHON_SLICE_NS 200000 /* of the thread that makes the engine: the event loop's */

/* What comes so soon after a check from an address that is not known yet waits behind the check in Python. */
#define ENGINE_EARLY_NS 200000000

enum engine_way {
    WAY_NONE, /* nowhere: not connected, consent has run out, or closed */
    WAY_UDP,  /* protected and sent from here */
    WAY_UP,   /* plain to Python: a tap, a TCP peer, a receiver with numbers of its own */
};

struct engine_counters {
    uint64_t packets_received, bytes_received, packets_sent, bytes_sent, refused, dropped;
};

struct engine_peer {
    struct destination to;
    enum engine_way way;
    uint32_t number;
    uint64_t generation;
    void *protect, *unprotect; /* libsrtp's contexts, NULL before the keys are known */
    struct rule_peer *rule_peer; /* NULL: its RTP goes up */
    int64_t heard_ns; /* when something authentic came last; 0 = never */
    struct consent consent; /* by which checks from where it is reached are answered here */
    struct engine_counters counters;
};

struct engine_totals {
    uint64_t garbage, unknown, batches, datagrams, checks;
};

struct engine {
    int fd;
    int wake_fd; /* the thread's: Python wants it to look */
    int up_fd;   /* Python's: something waits for it */
    int family;
    struct rule *rule;
    struct inbox inbox;
    struct outbox outbox; /* the thread's */
    struct outbox side;   /* what Python's calls made the rule send; under the lock */
    bool in_batch;        /* the sink is called by the thread */
    int64_t batch_ns;     /* of the batch, for what goes up */
    struct address_table addresses;
    struct engine_peer **peers;
    uint32_t peers_room, peers_most;
    uint64_t generation;
    struct engine_check {
        struct address_key key;
        int64_t at_ns;
    } checks[ENGINE_CHECKS]; /* the newest of strangers, each in the place its address says */
    struct up_buffer up;
    bool told; /* up_fd was written and Python has not taken yet */
    double due; /* of the thread's sleep */
    struct prompt prompt; /* the thread's */
    struct rest rest;     /* the thread's */
    struct engine_totals totals;
    pthread_t thread;
    pid_t process;
    bool running;
    atomic_bool stopping;
};

/* `rule` outlives the engine; its sink becomes the engine. False without memory or descriptors. */
bool engine_init(struct engine *engine, int fd, struct rule *rule, uint32_t most_peers, size_t up_bytes);
bool engine_start(struct engine *engine);
/* Ends the thread and waits for it (at most a batch); idempotent. In a forked child there is none to wait for. */
void engine_stop(struct engine *engine);
void engine_free(struct engine *engine);

/* Under the lock: */
struct rule_sink engine_sink(struct engine *engine);
struct engine_peer *engine_add_peer(struct engine *engine);
void engine_remove_peer(struct engine *engine, struct engine_peer *peer);
/* One datagram that came by another way (TCP). RTP and RTCP of a peer with keys; `bytes` has a trailer's room. */
void engine_receive(struct engine *engine, struct engine_peer *peer, enum datagram_kind kind, uint8_t *bytes,
    uint32_t length, int64_t at_ns);
void engine_attach(struct engine_peer *peer, struct rule_peer *rule_peer);
/* All that came up, good until the next call; Python has asked for the rule's news before. */
const uint8_t *engine_take(struct engine *engine, size_t *bytes);
/* Send what Python's call made the rule send, or wake who has to look at what it changed. */
void engine_settle(struct engine *engine);

#endif
