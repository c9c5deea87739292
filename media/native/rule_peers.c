/* A peer's tables as Python holds them: what is stuck, the pace; rule_lines.c has what is told of its lines. */
#include "rule_module.h"

struct peer_object *rule_open_peer(PyObject *object) {
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

static PyObject *leave_none(struct peer_object *self) { return leave(self, Py_NewRef(Py_None)); }

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
    struct peer_object *self = rule_open_peer(object);
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
    struct peer_object *self = rule_open_peer(object);
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
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    rule_unbind(self->peer, (uint32_t)ssrc);
    return leave_none(self);
}

/* stuck() -> (packet, now, key of the dead layer or None) | None */
static PyObject *peer_stuck(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
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
    PyObject *result = NULL;
    if (rule_done(self->owner) && !copy)
        PyErr_NoMemory();
    else if (!PyErr_Occurred())
        result = Py_BuildValue("y#dN", copy, (Py_ssize_t)size, at, dead ? PyLong_FromSsize_t(key) : Py_NewRef(Py_None));
    free(copy);
    return result;
}

static PyObject *peer_resume(PyObject *object, PyObject *malformed) {
    int is_malformed = PyObject_IsTrue(malformed);
    struct peer_object *self = is_malformed < 0 ? NULL : rule_open_peer(object);
    if (!self)
        return NULL;
    rule_resume(self->owner->rule, self->peer, is_malformed);
    return leave_none(self);
}

static PyObject *peer_drain(PyObject *object, PyObject *at) {
    double now = PyFloat_AsDouble(at);
    struct peer_object *self = now == -1.0 && PyErr_Occurred() ? NULL : rule_open_peer(object);
    if (!self)
        return NULL;
    rule_drain(self->owner->rule, self->peer, now);
    return leave_none(self);
}

static PyObject *peer_set_target(PyObject *object, PyObject *arguments) {
    double bps, queued_s;
    struct peer_object *self = PyArg_ParseTuple(arguments, "dd", &bps, &queued_s) ? rule_open_peer(object) : NULL;
    if (!self)
        return NULL;
    rule_set_target(self->peer, bps, queued_s);
    return leave_none(self);
}

static PyObject *peer_say_again(PyObject *object, PyObject *copies) {
    long count = PyLong_AsLong(copies);
    struct peer_object *self = PyErr_Occurred() ? NULL : rule_open_peer(object);
    if (!self)
        return NULL;
    self->peer->voice_copies = count < 0 ? 0 : count > 2 ? 2 : (int)count;
    return leave_none(self);
}

/* state() -> (malformed, unrouted, overflowed, waiting, left out, when the first that waits may leave, number) */
static PyObject *peer_state(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    const struct rule_peer *peer = self->peer;
    unsigned long long malformed = peer->malformed, unrouted = peer->unrouted, overflowed = peer->overflowed;
    unsigned long long dropped = peer->pacer.dropped;
    int waiting = peer->pacer.count;
    double opens_at = waiting ? peer->pacer.opens_at : INFINITY;
    long long number = peer->number;
    if (!rule_done(self->owner))
        return NULL;
    return Py_BuildValue("KKKiKdL", malformed, unrouted, overflowed, waiting, dropped, opens_at, number);
}

static PyMethodDef peer_methods[] = {
    {"close", peer_close, METH_NOARGS, NULL},
    {"set_out", peer_set_out, METH_O, NULL},
    {"receive", peer_receive, METH_VARARGS, NULL},
    {"unbind", peer_unbind, METH_O, NULL},
    {"stuck", peer_stuck, METH_NOARGS, NULL},
    {"resume", peer_resume, METH_O, NULL},
    {"drain", peer_drain, METH_O, NULL},
    {"set_target", peer_set_target, METH_VARARGS, NULL},
    {"say_again", peer_say_again, METH_O, NULL},
    {"state", peer_state, METH_NOARGS, NULL},
    {"hear", rule_line_face_hear, METH_VARARGS, NULL},
    {"heard", rule_line_face_heard, METH_NOARGS, NULL},
    {"be_calm", rule_line_face_be_calm, METH_VARARGS, NULL},
    {"probing", rule_line_face_probing, METH_VARARGS, NULL},
    {"forget_delays", rule_line_face_forget_delays, METH_NOARGS, NULL},
    {"set_feedback", rule_line_face_set_feedback, METH_VARARGS, NULL},
    {"feedback_due", rule_line_face_feedback_due, METH_NOARGS, NULL},
    {"feedback", rule_line_face_feedback, METH_O, NULL},
    {"report", rule_line_face_report, METH_VARARGS, NULL},
    {"stamps", rule_line_face_stamps, METH_NOARGS, NULL},
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
