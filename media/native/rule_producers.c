/* Producers as Python holds them; rule_layers.c has what they say of their layers. */
#include "rule_module.h"

struct producer_object *rule_open_producer(PyObject *object) {
    struct producer_object *self = (struct producer_object *)object;
    if (!self->producer)
        PyErr_SetString(PyExc_ValueError, "the producer is closed");
    else if (rule_enter(self->peer->owner))
        return self;
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
    struct producer_object *self = rule_open_producer(object);
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
    struct producer_object *self = paused < 0 ? NULL : rule_open_producer(object);
    if (!self)
        return NULL;
    self->producer->paused = paused;
    return leave_none(self);
}

/* levels() -> (levels, the newest last; when the first and the last came) or None: taken out. Where there were none, the next
 * one is told of again. */
static PyObject *producer_levels(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct producer_object *self = rule_open_producer(object);
    if (!self)
        return NULL;
    struct rule_producer *producer = self->producer;
    int most = producer->peer->rule->limits.levels, count = producer->level_count;
    double first = 0, last = 0;
    PyObject *levels = PyBytes_FromStringAndSize(NULL, count); /* nothing that the collector counts */
    for (int index = 0; levels && index < count; index++) {
        const struct rule_level *one = &producer->levels[(producer->level_start + index) % most];
        PyBytes_AS_STRING(levels)[index] = (char)one->level;
        first = index ? first : one->at;
        last = one->at;
    }
    producer->levels_told = count > 0;
    producer->level_count = 0;
    if (!rule_done(self->peer->owner)) {
        Py_XDECREF(levels);
        return NULL;
    }
    if (count)
        return levels ? Py_BuildValue("Ndd", levels, first, last) : NULL;
    Py_XDECREF(levels);
    Py_RETURN_NONE;
}

static PyMethodDef producer_methods[] = {
    {"close", producer_close, METH_NOARGS, NULL},
    {"set_paused", producer_set_paused, METH_O, NULL},
    {"levels", producer_levels, METH_NOARGS, NULL},
    {"bind", rule_layer_face_bind, METH_VARARGS, NULL},
    {"set_alive", rule_layer_face_set_alive, METH_VARARGS, NULL},
    {"touch", rule_layer_face_touch, METH_VARARGS, NULL},
    {"replaced", rule_layer_face_replaced, METH_O, NULL},
    {"learn_clock", rule_layer_face_learn_clock, METH_VARARGS, NULL},
    {"state", rule_layer_face_state, METH_O, NULL},
    {"ssrcs", rule_layer_face_ssrcs, METH_O, NULL},
    {"reception", rule_layer_face_reception, METH_O, NULL},
    {"frames", rule_layer_face_frames, METH_O, NULL},
    {"clock", rule_layer_face_clock, METH_O, NULL},
    {"bitrate", rule_layer_face_bitrate, METH_O, NULL},
    {"missing", rule_layer_face_missing, METH_O, NULL},
    {"take_missing", rule_layer_face_take_missing, METH_VARARGS, NULL},
    {"forgive", rule_layer_face_forgive, METH_O, NULL},
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
