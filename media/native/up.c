#include "up.h"

#include <stdlib.h>

bool up_init(struct up_buffer *up, size_t room)
{
    *up = (struct up_buffer){.room = room, .filling = malloc(room), .taken = malloc(room)};
    if (up->filling != NULL && up->taken != NULL)
        return true;
    up_free(up);
    return false;
}

void up_free(struct up_buffer *up)
{
    free(up->filling);
    free(up->taken);
    *up = (struct up_buffer){.room = 0};
}

struct up_record *up_reserve(struct up_buffer *up, enum up_kind kind, size_t size, bool stranger)
{
    size_t most = stranger ? up->room / 2 : kind == UP_OUT || kind == UP_RTP ? up->room / 4 * 3 : up->room;
    if (up->used + up_stride(size) > most) {
        up->dropped[kind]++;
        return NULL;
    }
    struct up_record *record = (struct up_record *)(void *)(up->filling + up->used);
    record->kind = kind;
    return record;
}

void up_commit(struct up_buffer *up, const struct up_record *record)
{
    up->used += up_stride(record->size);
}

const uint8_t *up_take(struct up_buffer *up, size_t *bytes)
{
    uint8_t *full = up->filling;
    *bytes = up->used;
    up->filling = up->taken;
    up->taken = full;
    up->used = 0;
    return full;
}
