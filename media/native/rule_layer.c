/* One incoming stream, and who is sent it: media/relay/layer. */
#include "rule_tables.h"

#include <stdlib.h>

#define PICTURE_BASE (1 << 16) /* keeps unwrapped picture ids positive, whatever order they come in */

void rule_layer_init(struct rule_layer *layer) {
    layer->ssrc = layer->rtx_ssrc = -1;
    rule_missing_init(&layer->missing);
    rule_frames_init(&layer->frames);
    rule_layer_restart(layer);
    layer->restarts = 0;
}

void rule_layer_restart(struct rule_layer *layer) {
    rule_unwrapper_init(&layer->sequences, 16);
    rule_unwrapper_init(&layer->pictures, 15);
    layer->pictures.bits = 0; /* known with the first picture id */
    layer->clock = (struct rule_clock){0};
    rule_reception_init(&layer->reception);
    rule_missing_reset(&layer->missing);
    rule_history_clear(layer->rule, &layer->history);
    layer->restarts++;
}

void rule_layer_replaced(struct rule_layer *layer) {
    rule_layer_restart(layer);
    layer->walked = true;
    for (int index = 0; index < layer->listed; index++) {
        struct rule_subscription *subscription = layer->subscribers[index].subscription;
        if (subscription->timeline == layer)
            subscription->timeline = NULL;
        if (subscription->current == layer) {
            subscription->current = NULL;
            if (subscription->target != layer) { /* it was about to leave, and waits for another one */
                rule_unsubscribe(layer, subscription);
                continue;
            }
        }
        rule_tell(layer->rule, RULE_OF_LAYERS, &layer->news, RULE_KEY_WANTED);
    }
    rule_layer_walked(layer);
}

/* The picture id as a number that keeps counting; it begins anew when its width changes. */
int64_t rule_unwrap_picture(struct rule_layer *layer, int picture_id, int bits) {
    if (bits != layer->pictures.bits)
        rule_unwrapper_init(&layer->pictures, bits);
    return rule_unwrap(&layer->pictures, (uint32_t)picture_id) + PICTURE_BASE;
}

static struct rule_subscriber *find(const struct rule_layer *layer, const struct rule_subscription *subscription) {
    for (int index = 0; index < layer->listed; index++)
        if (layer->subscribers[index].subscription == subscription && !layer->subscribers[index].gone)
            return &layer->subscribers[index];
    return NULL;
}

/* False when it takes no more. Idempotent. Not within a walk. */
bool rule_subscribe(struct rule_layer *layer, struct rule_subscription *subscription) {
    if (find(layer, subscription))
        return true;
    if (layer->listed == layer->room) {
        int room = layer->room ? 2 * layer->room : 4;
        struct rule_subscriber *more = NULL;
        if (layer->listed < layer->rule->limits.consumers)
            more = realloc(layer->subscribers, (size_t)room * sizeof *more);
        if (!more)
            return false;
        layer->subscribers = more;
        layer->room = room;
    }
    layer->subscribers[layer->listed++] = (struct rule_subscriber){subscription, false};
    layer->live++;
    return true;
}

static void compact(struct rule_layer *layer) {
    int kept = 0;
    for (int index = 0; index < layer->listed; index++)
        if (!layer->subscribers[index].gone)
            layer->subscribers[kept++] = layer->subscribers[index];
    layer->listed = kept;
}

/* The last one to leave takes what was kept for it along; whether this was it. */
static bool leave_layer(struct rule_layer *layer, struct rule_subscription *subscription) {
    struct rule_subscriber *entry = find(layer, subscription);
    if (entry) {
        entry->gone = true;
        layer->live--;
        if (!layer->walked)
            compact(layer);
    }
    if (layer->live)
        return false;
    rule_missing_reset(&layer->missing);
    rule_history_clear(layer->rule, &layer->history);
    return true;
}

void rule_unsubscribe(struct rule_layer *layer, struct rule_subscription *subscription) {
    if (leave_layer(layer, subscription)) /* nobody needs a key frame of it any more */
        rule_tell(layer->rule, RULE_OF_LAYERS, &layer->news, RULE_KEY_CAME);
}

void rule_layer_walked(struct rule_layer *layer) {
    layer->walked = false;
    if (layer->live != layer->listed)
        compact(layer);
}

/* -- a subscription's layers: consumer's decisions, carried out ------------------------------------------- */

int rule_aim(struct rule_subscription *subscription, struct rule_layer *target) {
    struct rule_layer *before = subscription->target;
    int emptied = 0;
    subscription->target = target;
    if (before && before != target && before != subscription->current) {
        if (leave_layer(before, subscription))
            emptied = 1 << before->index;
        if (rule_begun(subscription)) { /* with another layer */
            rule_leave_out(subscription->outlet, subscription);
            subscription->starting = -1;
        }
    }
    if (subscription->current != target)
        target->news.kinds &= ~(unsigned)RULE_KEY_CAME; /* that one was not for us */
    return rule_subscribe(target, subscription) ? emptied : -1;
}

int rule_leave(struct rule_subscription *subscription) {
    struct rule_layer *current = subscription->current, *target = subscription->target;
    int emptied = 0;
    rule_leave_out(subscription->outlet, subscription);
    subscription->starting = -1;
    if (current && leave_layer(current, subscription))
        emptied |= 1 << current->index;
    if (target && target != current && leave_layer(target, subscription))
        emptied |= 1 << target->index;
    subscription->current = subscription->target = NULL;
    return emptied;
}

void rule_start(struct rule_subscription *subscription, uint32_t timestamp) {
    struct rule_layer *current = subscription->current;
    rule_leave_out(subscription->outlet, subscription);
    subscription->current = NULL;
    if (current)
        rule_unsubscribe(current, subscription);
    subscription->starting = timestamp;
}

/* Frames were left out before they had numbers: go on with the next key frame (plane.cut). */
void rule_cut(struct rule_subscription *subscription) {
    struct rule_layer *current = subscription->current;
    if (!subscription->target)
        subscription->target = current;
    if (current && current != subscription->target)
        rule_unsubscribe(current, subscription);
    subscription->current = NULL;
    subscription->starting = -1;
    rule_tell(subscription->rule, RULE_OF_SUBSCRIPTIONS, &subscription->news, RULE_STARVED);
}
