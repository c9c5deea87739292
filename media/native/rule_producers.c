/* Producers, with their layers, as Python holds them. */
#include "rule_module.h"

static struct producer_object *open_producer(PyObject *object) {
    struct producer_object *self = (struct producer_object *)object;
    if (!self->producer)
        PyErr_SetString(PyExc_ValueError, "the producer is closed");
    else if (rule_enter(self->peer->owner))
        return self;
    return NULL;
}

/* A producer and one of its layers, locked; NULL with an exception. */
static struct rule_layer *open_layer(PyObject *object, PyObject *number, struct producer_object **self) {
    long index = PyLong_AsLong(number);
    if ((index == -1 && PyErr_Occurred()) || !(*self = open_producer(object)))
        return NULL;
    if (index >= 0 && index < (*self)->producer->layer_count)
        return &(*self)->producer->layers[index];
    rule_exit((*self)->peer->owner, NULL);
    PyErr_SetString(PyExc_IndexError, "no such layer");
    return NULL;
}

static PyObject *leave(struct producer_object *self, PyObject *result) {
    return rule_exit(self->peer->owner, result);
}

static PyObject *leave_none(struct producer_object *self) { return leave(self, Py_NewRef(Py_None)); }

static bool read_types(PyObject *mapping, int16_t *types) {
    Py_ssize_t position = 0;
    PyObject *theirs, *ours;
    for (int index = 0; index < 128; index++)
        types[index] = -1;
    while (PyDict_Next(mapping, &position, &theirs, &ours)) {
        long from = PyLong_AsLong(theirs), to = PyLong_AsLong(ours);
        if (PyErr_Occurred())
            return false;
        if (from < 0 || from > 127 || to < 0 || to > 127) {
            PyErr_SetString(PyExc_ValueError, "a payload type is 0 to 127");
            return false;
        }
        types[from] = (int16_t)to;
    }
    return true;
}

static bool read_ids(PyObject *mapping, uint8_t *ids) {
    Py_ssize_t position = 0;
    PyObject *theirs, *ours;
    memset(ids, 0, 256);
    while (PyDict_Next(mapping, &position, &theirs, &ours)) {
        long from = PyLong_AsLong(theirs), to = PyLong_AsLong(ours);
        if (PyErr_Occurred())
            return false;
        if (from < 1 || from > 255 || to < 1 || to > 14) {
            PyErr_SetString(PyExc_ValueError, "a router's extension id is 1 to 14");
            return false;
        }
        ids[from] = (uint8_t)to;
    }
    return true;
}

static enum rule_codec codec_of(const char *name) {
    if (strcmp(name, "opus") == 0)
        return RULE_OPUS;
    if (strcmp(name, "vp8") == 0)
        return RULE_VP8;
    return strcmp(name, "h264") == 0 ? RULE_H264 : RULE_OTHER;
}

static PyObject *producer_make(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"peer",          "key",      "layer_keys", "payload_types", "rtx_payload_types",
                            "extension_ids", "send_time_id", "number_id", "level_id",   "red_type",
                            "codec",         "clock_rate",   "asks_again", NULL};
    struct rule_ingress ingress;
    PyObject *peer, *layer_keys, *types, *rtx_types, *ids;
    Py_ssize_t key;
    int red_type, clock_rate, asks_again;
    const char *codec;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!nO!O!O!O!bbbisip", names, &rule_peer_type, &peer, &key,
                                     &PyTuple_Type, &layer_keys, &PyDict_Type, &types, &PyDict_Type, &rtx_types,
                                     &PyDict_Type, &ids, &ingress.send_time_id, &ingress.number_id, &ingress.level_id,
                                     &red_type, &codec, &clock_rate, &asks_again))
        return NULL;
    if (!read_types(types, ingress.payload_types) || !read_types(rtx_types, ingress.rtx_payload_types) ||
        !read_ids(ids, ingress.extension_ids) || !rule_peer_of(peer))
        return NULL;
    Py_ssize_t layers = PyTuple_GET_SIZE(layer_keys);
    if (layers < 1 || layers > RULE_LAYERS || clock_rate < 1000 || clock_rate > 1000000 || ingress.number_id > 14) {
        PyErr_SetString(PyExc_ValueError, "1 to 8 layers at 1 kHz to 1 MHz");
        return NULL;
    }
    ingress.red_type = (int16_t)red_type;
    ingress.codec = codec_of(codec);
    struct producer_object *self = (struct producer_object *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->peer = (struct peer_object *)Py_NewRef(peer);
    if (!rule_enter(self->peer->owner)) {
        Py_DECREF(self);
        return NULL;
    }
    self->producer =
        rule_producer_new(self->peer->peer, &ingress, (int)layers, clock_rate, asks_again, (void *)(intptr_t)key);
    for (Py_ssize_t index = 0; self->producer && index < layers; index++)
        self->producer->layers[index].news.handle =
            (void *)(intptr_t)PyLong_AsSsize_t(PyTuple_GET_ITEM(layer_keys, index));
    if (!self->producer)
        PyErr_NoMemory();
    PyObject *result = leave(self, PyErr_Occurred() ? NULL : (PyObject *)self);
    if (!result)
        Py_DECREF(self);
    return result;
}

static PyObject *producer_close(PyObject *object, PyObject *nothing) {
    (void)nothing;
    if (!((struct producer_object *)object)->producer)
        Py_RETURN_NONE;
    struct producer_object *self = open_producer(object);
    if (!self)
        return NULL;
    if (self->producer->consumers) {
        leave(self, NULL);
        PyErr_SetString(PyExc_ValueError, "a subscription is open");
        return NULL;
    }
    rule_producer_free(self->producer);
    self->producer = NULL;
    return leave_none(self);
}

static void producer_dealloc(PyObject *object) {
    struct producer_object *self = (struct producer_object *)object;
    if (self->producer) { /* its subscriptions hold it: they are gone */
        rule_enter(self->peer->owner);
        rule_producer_free(self->producer);
        rule_exit(self->peer->owner, NULL);
    }
    Py_XDECREF(self->peer);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *producer_set_paused(PyObject *object, PyObject *value) {
    int paused = PyObject_IsTrue(value);
    struct producer_object *self = paused < 0 ? NULL : open_producer(object);
    if (!self)
        return NULL;
    self->producer->paused = paused;
    return leave_none(self);
}

/* levels() -> [(level, at)]: taken out. Where there were none, the next one is told of again. */
static PyObject *producer_levels(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct producer_object *self = open_producer(object);
    if (!self)
        return NULL;
    struct rule_producer *producer = self->producer;
    int most = producer->peer->rule->limits.levels;
    PyObject *list = PyList_New(producer->level_count);
    for (int index = 0; list && index < producer->level_count; index++) {
        struct rule_level *one = &producer->levels[(producer->level_start + index) % most];
        PyList_SET_ITEM(list, index, Py_BuildValue("id", one->level, one->at));
    }
    producer->levels_told = producer->level_count > 0;
    producer->level_count = 0;
    return leave(self, list);
}

/* bind(layer, ssrc, is_rtx) */
static PyObject *producer_bind(PyObject *object, PyObject *arguments) {
    PyObject *index;
    unsigned long ssrc;
    int is_rtx;
    struct producer_object *self;
    if (!PyArg_ParseTuple(arguments, "Okp", &index, &ssrc, &is_rtx))
        return NULL;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    if (!rule_bind(layer->producer->peer, (uint32_t)ssrc, layer, is_rtx)) {
        leave(self, NULL);
        return PyErr_NoMemory();
    }
    return leave_none(self);
}

static PyObject *layer_set_alive(PyObject *object, PyObject *arguments) {
    PyObject *index;
    int alive;
    struct producer_object *self;
    struct rule_layer *layer;
    if (!PyArg_ParseTuple(arguments, "Op", &index, &alive) || !(layer = open_layer(object, index, &self)))
        return NULL;
    layer->alive = alive;
    return leave_none(self);
}

/* touch(layer, now): the packet that is about to be taken came then. */
static PyObject *layer_touch(PyObject *object, PyObject *arguments) {
    PyObject *index;
    double now;
    struct producer_object *self;
    struct rule_layer *layer;
    if (!PyArg_ParseTuple(arguments, "Od", &index, &now) || !(layer = open_layer(object, index, &self)))
        return NULL;
    layer->last_at = now;
    return leave_none(self);
}

static PyObject *layer_replaced(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    rule_layer_replaced(layer);
    layer->news.kinds &= ~(unsigned)(RULE_KEY_WANTED | RULE_KEY_CAME); /* who calls does it himself */
    return leave(self, PyBool_FromLong(layer->live > 0));
}

static PyObject *layer_learn_clock(PyObject *object, PyObject *arguments) {
    PyObject *index;
    unsigned long long ntp;
    unsigned long timestamp;
    double now;
    struct producer_object *self;
    struct rule_layer *layer;
    if (!PyArg_ParseTuple(arguments, "OKkd", &index, &ntp, &timestamp, &now) ||
        !(layer = open_layer(object, index, &self)))
        return NULL;
    layer->clock = (struct rule_clock){ntp, (uint32_t)timestamp, now, true};
    return leave_none(self);
}

static PyObject *maybe_number(int64_t number) {
    return number < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(number);
}

/* state(layer) -> (alive, last at, width, height, recovered, probes, restarts) */
static PyObject *layer_state(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    return leave(self, Py_BuildValue("NdiiKKI", PyBool_FromLong(layer->alive), layer->last_at, layer->width,
                                     layer->height, (unsigned long long)layer->recovered,
                                     (unsigned long long)(layer->duplicates + layer->rtx_padding), layer->restarts));
}

/* ssrcs(layer) -> (ssrc, rtx ssrc), None where not known */
static PyObject *layer_ssrcs(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    return layer ? leave(self, Py_BuildValue("NN", maybe_number(layer->ssrc), maybe_number(layer->rtx_ssrc))) : NULL;
}

/* reception(layer) -> (expected, highest, packets, octets, jitter, bursts, frames, frozen, restarts) */
static PyObject *layer_reception(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    const struct rule_reception *one = &layer->reception;
    long long expected = one->known ? one->highest - one->first + 1 : 0;
    return leave(self, Py_BuildValue("LLKKdKKdI", expected, (long long)one->highest, (unsigned long long)one->packets,
                                     (unsigned long long)one->octets, one->jitter, (unsigned long long)one->bursts,
                                     (unsigned long long)one->frames, one->frozen_s, layer->restarts));
}

/* frames(layer) -> (octets by temporal layer, key at, key gap, key octets) */
static PyObject *layer_frames(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    const struct rule_frames *one = &layer->frames;
    return leave(self, Py_BuildValue("(KKKK)ddK", (unsigned long long)one->spread[0], (unsigned long long)one->spread[1],
                                     (unsigned long long)one->spread[2], (unsigned long long)one->spread[3],
                                     one->key_at, one->key_gap, (unsigned long long)one->key_octets));
}

/* clock(layer) -> (ntp, rtp timestamp, received at or None) */
static PyObject *layer_clock(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    const struct rule_clock *one = &layer->clock;
    PyObject *at = one->known ? PyFloat_FromDouble(one->received_at) : Py_NewRef(Py_None);
    return leave(self, Py_BuildValue("KkN", (unsigned long long)one->ntp, (unsigned long)one->rtp_timestamp, at));
}

/* missing(layer) -> (due, requested, round trip, how many) */
static PyObject *layer_missing(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    const struct rule_missing *one = &layer->missing;
    return leave(self, Py_BuildValue("dKdi", one->due, (unsigned long long)one->requested, one->round_trip, one->count));
}

static PyObject *layer_take_missing(PyObject *object, PyObject *arguments) {
    PyObject *index;
    double now;
    struct producer_object *self;
    struct rule_layer *layer;
    if (!PyArg_ParseTuple(arguments, "Od", &index, &now) || !(layer = open_layer(object, index, &self)))
        return NULL;
    int64_t *numbers = malloc((size_t)layer->rule->limits.missing_most * sizeof *numbers);
    int count = numbers ? rule_missing_take(layer->rule, &layer->missing, numbers, now) : 0;
    PyObject *list = rule_list_of(numbers, count);
    free(numbers);
    return leave(self, list);
}

/* Whether anything was lost for good since the last call. */
static PyObject *layer_forgive(PyObject *object, PyObject *index) {
    struct producer_object *self;
    struct rule_layer *layer = open_layer(object, index, &self);
    if (!layer)
        return NULL;
    bool lost = layer->missing.lost_for_good;
    layer->missing.lost_for_good = false;
    return leave(self, PyBool_FromLong(lost));
}

static PyMethodDef producer_methods[] = {
    {"close", producer_close, METH_NOARGS, NULL},
    {"set_paused", producer_set_paused, METH_O, NULL},
    {"levels", producer_levels, METH_NOARGS, NULL},
    {"bind", producer_bind, METH_VARARGS, NULL},
    {"set_alive", layer_set_alive, METH_VARARGS, NULL},
    {"touch", layer_touch, METH_VARARGS, NULL},
    {"replaced", layer_replaced, METH_O, NULL},
    {"learn_clock", layer_learn_clock, METH_VARARGS, NULL},
    {"state", layer_state, METH_O, NULL},
    {"ssrcs", layer_ssrcs, METH_O, NULL},
    {"reception", layer_reception, METH_O, NULL},
    {"frames", layer_frames, METH_O, NULL},
    {"clock", layer_clock, METH_O, NULL},
    {"missing", layer_missing, METH_O, NULL},
    {"take_missing", layer_take_missing, METH_VARARGS, NULL},
    {"forgive", layer_forgive, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject rule_producer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.RuleProducer",
    .tp_basicsize = sizeof(struct producer_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = producer_make,
    .tp_dealloc = producer_dealloc,
    .tp_methods = producer_methods,
};
