/* When a thread that has just looked at its socket looks again. */
#ifndef HUIZHEN_REST_H
#define HUIZHEN_REST_H

#include <stdbool.h>
#include <stdint.h>

/* Two looks are at least so far apart while packets crowd: a fiftieth of what a packet of 300 rooms may wait, and less
 * than the work on a batch of 64 for ten receivers each. */
#define REST_NS 400000
/* After a full batch there is none for so long: with so much to do batches are large of themselves, and who sends only
 * when he hears would wait for a thread that has nothing to do. */
#define REST_NONE_NS 2000000

/* Zeroed at first. */
struct rest {
    bool crowded; /* the last wait was shorter than a rest, or the last rest brought something */
    int64_t none_until_ns;
};

/* It waited so long for something to come. */
void rest_waited(struct rest *rest, int64_t waited_ns);
/* It looked at `looked_ns` and found as much as it takes at once. */
void rest_full(struct rest *rest, int64_t looked_ns);
/* It looked at `looked_ns`, found `found` datagrams, and is done at `now_ns`: how long to let the next ones gather,
 * 0 = wait for the next one. */
int64_t rest_after(struct rest *rest, unsigned found, int64_t looked_ns, int64_t now_ns);

#endif
