/* A producer's layers as Python asks for them, by their numbers. */
#include "rule_module.h"

#include <stdarg.h>

/* A producer and one of its layers, locked; NULL with an exception. */
static struct rule_layer *open_layer(PyObject *object, PyObject *number, struct producer_object **self) {
    long index = PyLong_AsLong(number);
    if ((index == -1 && PyErr_Occurred()) || !(*self = rule_open_producer(object)))
        return NULL;
    if (index >= 0 && index < (*self)->producer->layer_count)
        return &(*self)->producer->layers[index];
    rule_exit((*self)->peer->owner, NULL);
    PyErr_SetString(PyExc_IndexError, "no such layer");
    return NULL;
}

/* The same from arguments that are read as `format` says; the first of them, "O", is the layer's number. */
static struct rule_layer *read_layer(PyObject *object, PyObject *arguments, struct producer_object **self,
                                     const char *format, ...) {
    va_list into;
    va_start(into, format);
    int read = PyArg_VaParse(arguments, format, into);
    va_end(into);
    return read ? open_layer(object, PyTuple_GET_ITEM(arguments, 0), self) : NULL;
}

static bool leave(struct producer_object *self) { return rule_done(self->peer->owner); }

static PyObject *leave_none(struct producer_object *self) {
    return rule_exit(self->peer->owner, Py_NewRef(Py_None));
}

/* A copy of a layer's field, and of how often the layer began anew; false with an exception. */
static bool peek(PyObject *object, PyObject *index, size_t offset, void *field, size_t size, unsigned *restarts) {
    struct producer_object *self;
    const struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return false;
    memcpy(field, (const char *)layer + offset, size);
    if (restarts)
        *restarts = layer->restarts;
    return leave(self);
}

#define PEEK(field, into, restarts)                                                                                    \
    peek(object, index, offsetof(struct rule_layer, field), (into), sizeof *(into), (restarts))

/* -- what is said to a layer ------------------------------------------------------------------------------ */

/* bind(layer, ssrc, is_rtx) */
PyObject *rule_layer_face_bind(PyObject *object, PyObject *arguments) {
    PyObject *index;
    unsigned long ssrc;
    int is_rtx;
    struct producer_object *self;
    struct rule_layer *layer = read_layer(object, arguments, &self, "Okp", &index, &ssrc, &is_rtx);
    if (!layer)
        return NULL;
    bool bound = rule_bind(layer->producer->peer, (uint32_t)ssrc, layer, is_rtx);
    PyObject *result = leave_none(self);
    if (bound || !result)
        return result;
    Py_DECREF(result);
    return PyErr_NoMemory();
}

PyObject *rule_layer_face_set_alive(PyObject *object, PyObject *arguments) {
    PyObject *index;
    int alive;
    struct producer_object *self;
    struct rule_layer *layer = read_layer(object, arguments, &self, "Op", &index, &alive);
    if (!layer)
        return NULL;
    layer->alive = alive;
    return leave_none(self);
}

/* touch(layer, now): the packet that is about to be taken came then. */
PyObject *rule_layer_face_touch(PyObject *object, PyObject *arguments) {
    PyObject *index;
    double now;
    struct producer_object *self;
    struct rule_layer *layer = read_layer(object, arguments, &self, "Od", &index, &now);
    if (!layer)
        return NULL;
    layer->last_at = now;
    return leave_none(self);
}

/* replaced(layer) -> whether anybody is sent it */
PyObject *rule_layer_face_replaced(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    rule_layer_replaced(layer);
    layer->news.kinds &= ~(unsigned)(RULE_KEY_WANTED | RULE_KEY_CAME); /* who calls does it himself */
    bool live = layer->live > 0;
    return leave(self) ? PyBool_FromLong(live) : NULL;
}

/* learn_clock(layer, ntp, timestamp, now): a sender report came. */
PyObject *rule_layer_face_learn_clock(PyObject *object, PyObject *arguments) {
    PyObject *index;
    unsigned long long ntp;
    unsigned long timestamp;
    double now;
    struct producer_object *self;
    struct rule_layer *layer = read_layer(object, arguments, &self, "OKkd", &index, &ntp, &timestamp, &now);
    if (!layer)
        return NULL;
    rule_learn_clock(layer, ntp, (uint32_t)timestamp, now);
    return leave_none(self);
}

/* -- what a layer says ------------------------------------------------------------------------------------ */

static PyObject *maybe_number(int64_t number) {
    return number < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(number);
}

/* state(layer) -> (alive, last at, width, height, recovered, probes, restarts) */
PyObject *rule_layer_face_state(PyObject *object, PyObject *index) {
    struct producer_object *self;
    const struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    bool alive = layer->alive;
    double last_at = layer->last_at;
    int width = layer->width, height = layer->height;
    unsigned long long recovered = layer->recovered, probes = layer->duplicates + layer->rtx_padding;
    unsigned restarts = layer->restarts;
    if (!leave(self))
        return NULL;
    return Py_BuildValue("NdiiKKI", PyBool_FromLong(alive), last_at, width, height, recovered, probes, restarts);
}

/* ssrcs(layer) -> (ssrc, rtx ssrc), None where not known */
PyObject *rule_layer_face_ssrcs(PyObject *object, PyObject *index) {
    struct producer_object *self;
    const struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    int64_t ssrc = layer->ssrc, rtx_ssrc = layer->rtx_ssrc;
    return leave(self) ? Py_BuildValue("NN", maybe_number(ssrc), maybe_number(rtx_ssrc)) : NULL;
}

/* reception(layer) -> (expected, highest, packets, octets, jitter, bursts, frames, frozen, restarts) */
PyObject *rule_layer_face_reception(PyObject *object, PyObject *index) {
    struct rule_reception one;
    unsigned restarts;
    if (!PEEK(reception, &one, &restarts))
        return NULL;
    long long expected = one.known ? one.highest - one.first + 1 : 0;
    return Py_BuildValue("LLKKdKKdI", expected, (long long)one.highest, (unsigned long long)one.packets,
                         (unsigned long long)one.octets, one.jitter, (unsigned long long)one.bursts,
                         (unsigned long long)one.frames, one.frozen_s, restarts);
}

/* frames(layer) -> (octets by temporal layer, key at, key gap, key octets) */
PyObject *rule_layer_face_frames(PyObject *object, PyObject *index) {
    struct rule_frames one;
    if (!PEEK(frames, &one, NULL))
        return NULL;
    return Py_BuildValue("(KKKK)ddK", (unsigned long long)one.spread[0], (unsigned long long)one.spread[1],
                         (unsigned long long)one.spread[2], (unsigned long long)one.spread[3], one.key_at, one.key_gap,
                         (unsigned long long)one.key_octets);
}

/* clock(layer) -> (ntp, rtp timestamp, received at or None) */
PyObject *rule_layer_face_clock(PyObject *object, PyObject *index) {
    struct rule_clock one;
    if (!PEEK(clock, &one, NULL))
        return NULL;
    PyObject *at = one.known ? PyFloat_FromDouble(one.received_at) : Py_NewRef(Py_None);
    return Py_BuildValue("KkN", (unsigned long long)one.ntp, (unsigned long)one.rtp_timestamp, at);
}

/* bitrate(layer) -> bits per second, between the last two reports */
PyObject *rule_layer_face_bitrate(PyObject *object, PyObject *index) {
    struct rule_bitrate one;
    return PEEK(rate, &one, NULL) ? PyLong_FromLongLong(one.bps) : NULL;
}

/* missing(layer) -> (due, requested, round trip, how many) */
PyObject *rule_layer_face_missing(PyObject *object, PyObject *index) {
    struct rule_missing one;
    if (!PEEK(missing, &one, NULL))
        return NULL;
    return Py_BuildValue("dKdi", one.due, (unsigned long long)one.requested, one.round_trip, one.count);
}

/* take_missing(layer, now) -> numbers to ask for */
PyObject *rule_layer_face_take_missing(PyObject *object, PyObject *arguments) {
    PyObject *index;
    double now;
    struct producer_object *self;
    struct rule_layer *layer = read_layer(object, arguments, &self, "Od", &index, &now);
    if (!layer)
        return NULL;
    int64_t *numbers = malloc((size_t)layer->rule->limits.missing_most * sizeof *numbers);
    int count = numbers ? rule_missing_take(layer->rule, &layer->missing, numbers, now) : 0;
    PyObject *list = leave(self) ? rule_list_of(numbers, count) : NULL;
    free(numbers);
    return list;
}

/* forgive(layer) -> whether anything was lost for good since the last call */
PyObject *rule_layer_face_forgive(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    bool lost = layer->missing.lost_for_good;
    layer->missing.lost_for_good = false;
    return leave(self) ? PyBool_FromLong(lost) : NULL;
}
