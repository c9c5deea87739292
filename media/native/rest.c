#include "rest.h"

void rest_waited(struct rest *rest, int64_t waited_ns)
{
    rest->crowded = waited_ns < REST_NS;
}

void rest_full(struct rest *rest, int64_t looked_ns)
{
    rest->none_until_ns = looked_ns + REST_NONE_NS;
}

/* Where packets come one by one, each is served at once and nothing but the wait for it wakes the thread. */
int64_t rest_after(struct rest *rest, unsigned found, int64_t looked_ns, int64_t now_ns)
{
    if (found == 0)
        rest->crowded = false;
    if (!rest->crowded || looked_ns < rest->none_until_ns)
        return 0;
    int64_t left = looked_ns + REST_NS - now_ns;
    return left > 0 ? left : 0;
}
