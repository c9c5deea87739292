/* How soon a thread of ours gets its core when it has something to do. */
#ifndef HUIZHEN_PROMPT_H
#define HUIZHEN_PROMPT_H

#include <stdint.h>

/* The calling thread asks for turns of `slice_ns` on its core. What it starts afterwards, threads and processes, has
 * the system's own. Nothing happens where the kernel knows no slices. */
void prompt_slices(uint64_t slice_ns);

/* The calling thread comes before others with `nice` (sched(7)); refused without the right to it. */
void prompt_first(int nice);

#endif
