/* How soon a thread of ours gets its core when it has something to do. */
#ifndef HUIZHEN_PROMPT_H
#define HUIZHEN_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

/* The calling thread asks for turns of `slice_ns` on its core. What it starts afterwards, threads and processes, has
 * the system's own. Nothing happens where the kernel knows no slices. */
void prompt_slices(uint64_t slice_ns);

/* A thread that comes before all ordinary ones as long as it leaves them something of the core. */
struct prompt {
    int64_t began_ns; /* of the stretch that is looked at */
    int64_t slept_ns; /* within it */
};

/* For the calling thread: short slices of its own, and before others with PROMPT_NICE (sched(7)) where there is the
 * right to it. */
void prompt_init(struct prompt *prompt, int64_t now_ns);
/* It slept. */
void prompt_slept(struct prompt *prompt, int64_t from_ns, int64_t until_ns);
/* It is about to work: once in a stretch it is seen whether it may come first. */
void prompt_work(struct prompt *prompt, int64_t now_ns);
/* Whether one that slept so long of a stretch may come first in the next one. */
bool prompt_may_be_first(int64_t slept_ns, int64_t stretch_ns);

#endif
