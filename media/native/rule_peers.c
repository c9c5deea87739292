/* A peer's tables as Python holds them: what is stuck, the pace, what is told of either direction. */
#include "rule_module.h"

static struct peer_object *open_peer(PyObject *object) {
    struct peer_object *self = (struct peer_object *)object;
    if (!self->peer)
        PyErr_SetString(PyExc_ValueError, "the peer is closed");
    else if (rule_enter(self->owner))
        return self;
    return NULL;
}

struct rule_peer *rule_peer_of(PyObject *object) {
    if (!PyObject_TypeCheck(object, &rule_peer_type) || !((struct peer_object *)object)->peer) {
        PyErr_SetString(PyExc_TypeError, "not an open RulePeer");
        return NULL;
    }
    return ((struct peer_object *)object)->peer;
}

static PyObject *leave(struct peer_object *self, PyObject *result) { return rule_exit(self->owner, result); }

static PyObject *leave_none(struct peer_object *self) {
    Py_INCREF(Py_None);
    return leave(self, Py_None);
}

static PyObject *peer_make(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *owner;
    Py_ssize_t key;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!n", (char *[]){"rule", "key", NULL}, &rule_type, &owner,
                                     &key))
        return NULL;
    struct peer_object *self = (struct peer_object *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->owner = (struct rule_object *)Py_NewRef(owner);
    if (!rule_enter(self->owner)) {
        Py_DECREF(self);
        return NULL;
    }
    self->peer = rule_peer_new(self->owner->rule, (void *)(intptr_t)key);
    if (!self->peer)
        PyErr_NoMemory();
    PyObject *result = leave(self, self->peer ? (PyObject *)self : NULL);
    if (!result)
        Py_DECREF(self);
    return result;
}

static bool has_children(const struct peer_object *self) {
    return self->peer->producers || self->peer->subscriptions;
}

static PyObject *peer_close(PyObject *object, PyObject *nothing) {
    struct peer_object *self = (struct peer_object *)object;
    (void)nothing;
    if (!self->peer)
        Py_RETURN_NONE;
    if (has_children(self)) {
        PyErr_SetString(PyExc_ValueError, "something on the peer is open");
        return NULL;
    }
    if (!rule_enter(self->owner))
        return NULL;
    rule_peer_free(self->peer);
    self->peer = NULL;
    PyObject *result = leave_none(self);
    Py_CLEAR(self->out);
    return result;
}

static void peer_dealloc(PyObject *object) {
    struct peer_object *self = (struct peer_object *)object;
    if (self->peer) { /* its children hold it: they are gone */
        rule_enter(self->owner);
        rule_peer_free(self->peer);
        rule_exit(self->owner, NULL);
    }
    Py_XDECREF(self->out);
    Py_XDECREF(self->owner);
    Py_TYPE(object)->tp_free(object);
}

/* set_out(callable | None): what the sink into Python calls with each packet. */
static PyObject *peer_set_out(PyObject *object, PyObject *out) {
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    PyObject *before = self->out;
    self->out = out == Py_None ? NULL : Py_NewRef(out);
    rule_peer_set_out(self->peer, self->out);
    PyObject *result = leave_none(self);
    Py_XDECREF(before);
    return result;
}

static PyObject *peer_receive(PyObject *object, PyObject *arguments) {
    Py_buffer packet;
    double now;
    if (!PyArg_ParseTuple(arguments, "y*d", &packet, &now))
        return NULL;
    struct peer_object *self = open_peer(object);
    PyObject *result = NULL;
    if (self) {
        rule_receive(self->owner->rule, self->peer, packet.buf, (size_t)packet.len, now);
        result = leave_none(self);
    }
    PyBuffer_Release(&packet);
    return result;
}

static PyObject *peer_unbind(PyObject *object, PyObject *number) {
    unsigned long ssrc = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred())
        return NULL;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    rule_unbind(self->peer, (uint32_t)ssrc);
    return leave_none(self);
}

/* stuck() -> (packet, now, key of the dead layer or None) | None */
static PyObject *peer_stuck(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    struct rule_layer *dead;
    const struct rule_packet *packet = rule_stuck(self->peer, &dead);
    if (!packet)
        return leave_none(self);
    size_t size = packet->size;
    double at = packet->received_at;
    Py_ssize_t key = dead ? (Py_ssize_t)(intptr_t)dead->news.handle : 0;
    char *copy = malloc(size ? size : 1);
    if (copy)
        memcpy(copy, packet->data, size);
    PyObject *result = leave(self, Py_None);
    if (result && !copy)
        result = PyErr_NoMemory();
    else if (result)
        result = Py_BuildValue("y#dN", copy, (Py_ssize_t)size, at, dead ? PyLong_FromSsize_t(key) : Py_NewRef(Py_None));
    free(copy);
    return result;
}

static PyObject *peer_resume(PyObject *object, PyObject *malformed) {
    int is_malformed = PyObject_IsTrue(malformed);
    struct peer_object *self = is_malformed < 0 ? NULL : open_peer(object);
    if (!self)
        return NULL;
    rule_resume(self->owner->rule, self->peer, is_malformed);
    return leave_none(self);
}

static PyObject *peer_drain(PyObject *object, PyObject *at) {
    double now = PyFloat_AsDouble(at);
    struct peer_object *self = now == -1.0 && PyErr_Occurred() ? NULL : open_peer(object);
    if (!self)
        return NULL;
    rule_drain(self->owner->rule, self->peer, now);
    return leave_none(self);
}

static PyObject *peer_set_target(PyObject *object, PyObject *target) {
    double bps = PyFloat_AsDouble(target);
    struct peer_object *self = bps == -1.0 && PyErr_Occurred() ? NULL : open_peer(object);
    if (!self)
        return NULL;
    rule_set_target(self->peer, bps);
    return leave_none(self);
}

static PyObject *peer_say_twice(PyObject *object, PyObject *twice) {
    int is_true = PyObject_IsTrue(twice);
    struct peer_object *self = is_true < 0 ? NULL : open_peer(object);
    if (!self)
        return NULL;
    self->peer->voices_twice = is_true;
    return leave_none(self);
}

/* state() -> (malformed, unrouted, overflowed, waiting, left out, when the first that waits may leave, number) */
static PyObject *peer_state(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    const struct rule_peer *peer = self->peer;
    return leave(self, Py_BuildValue("KKKiKdL", peer->malformed, peer->unrouted, peer->overflowed, peer->pacer.count,
                                     peer->pacer.dropped, peer->pacer.count ? peer->pacer.opens_at : INFINITY,
                                     (long long)peer->number));
}

/* hear(packet, now) -> whether it was transport-wide feedback alone, and was taken. */
static PyObject *peer_hear(PyObject *object, PyObject *arguments) {
    Py_buffer packet;
    double now;
    if (!PyArg_ParseTuple(arguments, "y*d", &packet, &now))
        return NULL;
    struct peer_object *self = open_peer(object);
    PyObject *result = NULL;
    if (self) {
        bool taken = rule_hear(self->peer, packet.buf, (size_t)packet.len, now);
        result = leave(self, Py_NewRef(taken ? Py_True : Py_False));
    }
    PyBuffer_Release(&packet);
    return result;
}

static PyObject *told_list(const struct rule_told *told, int count) {
    PyObject *list = PyList_New(count);
    for (int index = 0; list && index < count; index++) {
        const struct rule_told *one = &told[index];
        PyObject *item = Py_BuildValue("Lddi", (long long)one->number, one->sent_at, one->arrived_at, (int)one->size);
        if (item)
            PyList_SET_ITEM(list, index, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *rate_list(const struct rule_rate *rates, int count) {
    PyObject *list = PyList_New(count);
    for (int index = 0; list && index < count; index++) {
        PyObject *item = Py_BuildValue("dL", rates[index].at, (long long)rates[index].size);
        if (item)
            PyList_SET_ITEM(list, index, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* heard() -> [(at, silent, expected, arrived, signal, packets, rates)]: taken out. */
static PyObject *peer_heard(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    struct rule_heard_all all;
    rule_heard_take(self->peer, &all);
    if (!leave(self, Py_None)) {
        free(all.told);
        return NULL;
    }
    PyObject *list = PyList_New(all.count);
    for (int index = 0, told = 0, rates = 0; list && index < all.count; index++) {
        const struct rule_heard *one = &all.records[index];
        PyObject *item = Py_BuildValue("dOLLiNN", one->at, one->silent ? Py_True : Py_False, (long long)one->expected,
                                       (long long)one->arrived, (int)one->signal, told_list(all.told + told, one->told),
                                       rate_list(all.rates + rates, one->rates));
        if (item)
            PyList_SET_ITEM(list, index, item);
        else
            Py_CLEAR(list);
        told += one->told;
        rates += one->rates;
    }
    free(all.told);
    return list;
}

/* be_calm(until, delay) */
static PyObject *peer_be_calm(PyObject *object, PyObject *arguments) {
    double until, delay;
    if (!PyArg_ParseTuple(arguments, "dd", &until, &delay))
        return NULL;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    rule_be_calm(self->peer, until, delay);
    return leave_none(self);
}

/* probing(first, last): of a probe that is under way; first -1 = of none. */
static PyObject *peer_probing(PyObject *object, PyObject *arguments) {
    long long first, last;
    if (!PyArg_ParseTuple(arguments, "LL", &first, &last))
        return NULL;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    rule_probing(self->peer, first >= 0, first, last);
    return leave_none(self);
}

static PyObject *peer_forget_delays(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    rule_forget_delays(self->peer);
    return leave_none(self);
}

/* -- upstream --------------------------------------------------------------------------------------------- */

/* set_feedback(extension id, stamps, local ssrc) */
static PyObject *peer_set_feedback(PyObject *object, PyObject *arguments) {
    int id, stamps;
    unsigned long ssrc;
    if (!PyArg_ParseTuple(arguments, "ipk", &id, &stamps, &ssrc))
        return NULL;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    self->peer->feedback_id = id;
    self->peer->feedback_stamps = stamps;
    self->peer->local_ssrc = (uint32_t)ssrc;
    return leave_none(self);
}

static PyObject *peer_feedback_due(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    return self ? leave(self, PyFloat_FromDouble(self->peer->feedback_due)) : NULL;
}

struct written { /* packets one behind the other, each behind its size */
    uint8_t *bytes;
    size_t used, room;
    bool failed;
};

static void keep_written(void *context, void *out, const uint8_t *packet, size_t size) {
    struct written *written = context;
    (void)out;
    size_t wanted = written->used + sizeof size + size;
    if (wanted > written->room) {
        uint8_t *larger = realloc(written->bytes, 2 * wanted);
        written->failed |= !larger;
        if (!larger)
            return;
        written->bytes = larger;
        written->room = 2 * wanted;
    }
    memcpy(written->bytes + written->used, &size, sizeof size);
    memcpy(written->bytes + written->used + sizeof size, packet, size);
    written->used = wanted;
}

/* feedback(now) -> the RTCP packets that are due; from now on nothing is. */
static PyObject *peer_feedback(PyObject *object, PyObject *at) {
    double now = PyFloat_AsDouble(at);
    struct peer_object *self = now == -1.0 && PyErr_Occurred() ? NULL : open_peer(object);
    if (!self)
        return NULL;
    struct written written = {NULL, 0, 0, false};
    rule_write_feedback(self->peer, now, keep_written, &written);
    PyObject *list = leave(self, Py_None) ? PyList_New(0) : NULL;
    for (size_t read = 0, size; list && read < written.used; read += sizeof size + size) {
        memcpy(&size, written.bytes + read, sizeof size);
        PyObject *packet = PyBytes_FromStringAndSize((char *)written.bytes + read + sizeof size, (Py_ssize_t)size);
        if (!packet || PyList_Append(list, packet) < 0)
            Py_CLEAR(list);
        Py_XDECREF(packet);
    }
    free(written.bytes);
    if (list && written.failed) {
        Py_DECREF(list);
        return PyErr_NoMemory();
    }
    return list;
}

/* stamps() -> [(send time, size, ssrc, at)]: taken out; from now on nothing is due. */
static PyObject *peer_stamps(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = open_peer(object);
    if (!self)
        return NULL;
    struct rule_peer *peer = self->peer;
    struct rule_stamp *stamps = peer->stamps; /* ours from here */
    int count = peer->stamp_count;
    peer->stamps = NULL;
    peer->stamp_count = 0;
    peer->feedback_due = INFINITY;
    PyObject *list = leave(self, Py_None) ? PyList_New(count) : NULL;
    for (int index = 0; list && index < count; index++) {
        struct rule_stamp *one = &stamps[index];
        PyObject *item = Py_BuildValue("kkkd", (unsigned long)one->send_time, (unsigned long)one->size,
                                       (unsigned long)one->ssrc, one->at);
        if (item)
            PyList_SET_ITEM(list, index, item);
        else
            Py_CLEAR(list);
    }
    free(stamps);
    return list;
}

static PyMethodDef peer_methods[] = {
    {"close", peer_close, METH_NOARGS, NULL},
    {"set_out", peer_set_out, METH_O, NULL},
    {"receive", peer_receive, METH_VARARGS, NULL},
    {"unbind", peer_unbind, METH_O, NULL},
    {"stuck", peer_stuck, METH_NOARGS, NULL},
    {"resume", peer_resume, METH_O, NULL},
    {"drain", peer_drain, METH_O, NULL},
    {"set_target", peer_set_target, METH_O, NULL},
    {"say_twice", peer_say_twice, METH_O, NULL},
    {"state", peer_state, METH_NOARGS, NULL},
    {"hear", peer_hear, METH_VARARGS, NULL},
    {"heard", peer_heard, METH_NOARGS, NULL},
    {"be_calm", peer_be_calm, METH_VARARGS, NULL},
    {"probing", peer_probing, METH_VARARGS, NULL},
    {"forget_delays", peer_forget_delays, METH_NOARGS, NULL},
    {"set_feedback", peer_set_feedback, METH_VARARGS, NULL},
    {"feedback_due", peer_feedback_due, METH_NOARGS, NULL},
    {"feedback", peer_feedback, METH_O, NULL},
    {"stamps", peer_stamps, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject rule_peer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.RulePeer",
    .tp_basicsize = sizeof(struct peer_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = peer_make,
    .tp_dealloc = peer_dealloc,
    .tp_methods = peer_methods,
};
