#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "prompt.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESET_ON_FORK 1 /* SCHED_FLAG_RESET_ON_FORK of linux/sched.h, which libc's sched.h does not go with */

/* struct sched_attr as sched_setattr(2) has it; glibc before 2.41 does not know it. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* A packet must not wait for the end of Python's turn on a core that both share: a short slice makes the scheduler give
 * way at once (Linux 6.12 and newer, no right needed; older ones pass over it). A thread that has had more than its half
 * must wait for the other one's slice to end, so Python's is short as well. The shares stay equal: Python, too, has to
 * hear the receivers' feedback in time. A slice is inherited, and a browser or an encoder that a process of ours starts
 * would be broken off every 0.2 ms: so it ends with the thread. */
void prompt_slices(uint64_t slice_ns)
{
    struct attributes wish = {.size = sizeof wish};
    if (syscall(SYS_sched_getattr, 0, &wish, sizeof wish, 0) < 0 || wish.policy != SCHED_OTHER)
        return;
    wish.size = sizeof wish;
    wish.flags = RESET_ON_FORK;
    wish.runtime = slice_ns;
    (void)syscall(SYS_sched_setattr, 0, &wish, 0);
}

/* Whoever has just run is not let run again before the other has had as much, and nobody looks at that before the
 * next tick, up to 4 ms later. With a larger weight the media thread owes little. Where it is refused (RLIMIT_NICE,
 * CAP_SYS_NICE) packets wait a tick now and then. Python keeps a share of a core that is full. */
void prompt_first(int nice)
{
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}
