#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "prompt.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESET_ON_FORK 1 /* SCHED_FLAG_RESET_ON_FORK of linux/sched.h, which libc's sched.h does not go with */

/* The shortest that the kernel takes. */
#define PROMPT_SLICE_NS 100000
#define PROMPT_NICE (-10)
/* The lowest of all real-time priorities: before what is ordinary, behind what somebody else put above that. */
#define PROMPT_PRIORITY 1
/* Long enough that a burst of packets does not end it, and as long at most Python waits when a flood begins. */
#define PROMPT_STRETCH_NS 10000000
/* A thread that works more than this leaves gathers batches by its rests: then to be first saves packets a fraction of a
 * millisecond, and costs Python, whose turn it breaks off, a second of each person's wait to join. */
#define PROMPT_LEFT_PERCENT 60

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
 * next tick, up to 4 ms later. With a larger weight the media thread owes little, but it still owes. So it is a
 * real-time thread, which owes nothing, while it leaves enough of the core. Where one or the other is refused
 * (RLIMIT_NICE, RLIMIT_RTPRIO, CAP_SYS_NICE) packets wait a tick now and then. */
void prompt_init(struct prompt *prompt, int64_t now_ns)
{
    *prompt = (struct prompt){.began_ns = now_ns};
    prompt_slices(PROMPT_SLICE_NS);
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), PROMPT_NICE);
}

void prompt_slept(struct prompt *prompt, int64_t from_ns, int64_t until_ns)
{
    prompt->slept_ns += until_ns - from_ns;
}

bool prompt_may_be_first(int64_t slept_ns, int64_t stretch_ns)
{
    return slept_ns * 100 >= stretch_ns * PROMPT_LEFT_PERCENT;
}

/* Any other policy is somebody's own wish, an operator's or a load test's, and stays. */
static void choose(bool first)
{
    int policy = first ? SCHED_FIFO : SCHED_OTHER;
    int now = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    if (now == policy || (now != SCHED_FIFO && now != SCHED_OTHER))
        return;
    struct sched_param parameters = {.sched_priority = first ? PROMPT_PRIORITY : 0};
    (void)sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &parameters);
}

void prompt_work(struct prompt *prompt, int64_t now_ns)
{
    int64_t stretch_ns = now_ns - prompt->began_ns;
    if (stretch_ns < PROMPT_STRETCH_NS)
        return;
    choose(prompt_may_be_first(prompt->slept_ns, stretch_ns));
    prompt->began_ns = now_ns;
    prompt->slept_ns = 0;
}
