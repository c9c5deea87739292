/* Subscriptions as Python holds them. */
#include "rule_module.h"

struct subscription_object {
    PyObject_HEAD
    struct producer_object *producer;
    struct peer_object *outlet;
    struct rule_subscription *subscription; /* NULL = closed */
};

static struct subscription_object *open_subscription(PyObject *object) {
    struct subscription_object *self = (struct subscription_object *)object;
    if (!self->subscription)
        PyErr_SetString(PyExc_ValueError, "the subscription is closed");
    else if (rule_enter(self->producer->peer->owner))
        return self;
    return NULL;
}

static PyObject *let_go(struct subscription_object *self, PyObject *result) {
    return rule_exit(self->producer->peer->owner, result);
}

static bool read_removed(PyObject *ids, struct rule_egress *egress) {
    PyObject *list = PySequence_Fast(ids, "extension ids");
    if (!list)
        return false;
    for (Py_ssize_t index = 0; index < PySequence_Fast_GET_SIZE(list); index++) {
        long id = PyLong_AsLong(PySequence_Fast_GET_ITEM(list, index));
        if (id >= 0 && id < 256)
            egress->removes = egress->removed[id] = true;
    }
    Py_DECREF(list);
    return !PyErr_Occurred();
}

static PyObject *subscription_make(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"producer", "outlet",   "key",     "ssrc",       "first_sequence", "clock_rate",
                            "numbered", "waits",    "priority", "removed_extensions", "plain_type", "rtx",
                            "voice",    "cname", NULL};
    struct rule_subscription values = {0};
    PyObject *producer, *outlet, *removed, *rtx;
    Py_ssize_t key;
    unsigned long ssrc, rtx_ssrc = 0;
    int first, waits, plain_type, rtx_type = -1, rtx_first = 0, voice = 0;
    const char *cname = "";
    Py_ssize_t cname_length = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!nkiiipiOiO|ps#", names, &rule_producer_type, &producer,
                                     &rule_peer_type, &outlet, &key, &ssrc, &first, &values.clock_rate,
                                     &values.numbered, &waits, &values.priority, &removed, &plain_type, &rtx,
                                     &voice, &cname, &cname_length) ||
        (rtx != Py_None && !PyArg_ParseTuple(rtx, "iki", &rtx_type, &rtx_ssrc, &rtx_first)) ||
        !read_removed(removed, &values.egress) || !rule_peer_of(outlet))
        return NULL;
    if (values.priority < 0 || values.priority >= RULE_CLASSES || values.numbered < 0 || values.numbered > 14 ||
        values.clock_rate < 1000 || !((struct producer_object *)producer)->producer ||
        ((struct producer_object *)producer)->peer->owner != ((struct peer_object *)outlet)->owner) {
        PyErr_SetString(PyExc_ValueError, "a class 0 to 4, an id 0 to 14, an open producer of the same rule");
        return NULL;
    }
    values.waits = waits;
    values.voice = voice;
    values.cname_length = (uint8_t)(cname_length < RULE_CNAME_BYTES ? cname_length : RULE_CNAME_BYTES);
    memcpy(values.cname, cname, values.cname_length);
    values.egress.plain_type = (int16_t)plain_type;
    values.rtx_payload_type = rtx_type;
    values.rtx_ssrc = (uint32_t)rtx_ssrc;
    values.rtx_sequence = (uint16_t)rtx_first;
    struct subscription_object *self = (struct subscription_object *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->producer = (struct producer_object *)Py_NewRef(producer);
    self->outlet = (struct peer_object *)Py_NewRef(outlet);
    if (!rule_enter(self->outlet->owner)) {
        Py_DECREF(self);
        return NULL;
    }
    self->subscription = rule_subscription_new(self->producer->producer, self->outlet->peer, &values, (uint32_t)ssrc,
                                               first, rtx != Py_None, (void *)(intptr_t)key);
    if (!self->subscription)
        PyErr_NoMemory();
    PyObject *result = let_go(self, self->subscription ? (PyObject *)self : NULL);
    if (!result)
        Py_DECREF(self);
    return result;
}

static void subscription_dealloc(PyObject *object) {
    struct subscription_object *self = (struct subscription_object *)object;
    if (self->subscription) {
        rule_enter(self->outlet->owner);
        rule_subscription_free(self->subscription);
        rule_exit(self->outlet->owner, NULL);
    }
    Py_XDECREF(self->producer);
    Py_XDECREF(self->outlet);
    Py_TYPE(object)->tp_free(object);
}

/* close() -> the layers (1 << index) that have no subscriber left. Idempotent. */
static PyObject *subscription_close(PyObject *object, PyObject *nothing) {
    (void)nothing;
    if (!((struct subscription_object *)object)->subscription)
        return PyLong_FromLong(0);
    struct subscription_object *self = open_subscription(object);
    if (!self)
        return NULL;
    int emptied = rule_leave(self->subscription);
    rule_subscription_free(self->subscription);
    self->subscription = NULL;
    return let_go(self, PyLong_FromLong(emptied));
}

/* aim(layer) -> as close */
static PyObject *subscription_aim(PyObject *object, PyObject *number) {
    long index = PyLong_AsLong(number);
    struct subscription_object *self = index == -1 && PyErr_Occurred() ? NULL : open_subscription(object);
    if (!self)
        return NULL;
    int emptied = -1;
    if (index >= 0 && index < self->producer->producer->layer_count)
        emptied = rule_aim(self->subscription, &self->producer->producer->layers[index]);
    if (!rule_done(self->outlet->owner))
        return NULL;
    if (emptied >= 0)
        return PyLong_FromLong(emptied);
    PyErr_SetString(PyExc_ValueError, "no such layer, or it has as many subscribers as it can");
    return NULL;
}

static PyObject *subscription_leave(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct subscription_object *self = open_subscription(object);
    return self ? let_go(self, PyLong_FromLong(rule_leave(self->subscription))) : NULL;
}

static PyObject *subscription_aim_temporal(PyObject *object, PyObject *number) {
    long target = PyLong_AsLong(number);
    struct subscription_object *self = target == -1 && PyErr_Occurred() ? NULL : open_subscription(object);
    if (!self)
        return NULL;
    self->subscription->egress.temporal_target = (int)target;
    return let_go(self, Py_NewRef(Py_None));
}

static PyObject *subscription_prioritize(PyObject *object, PyObject *number) {
    long priority = PyLong_AsLong(number);
    struct subscription_object *self = priority == -1 && PyErr_Occurred() ? NULL : open_subscription(object);
    if (!self)
        return NULL;
    if (priority >= 0 && priority < RULE_CLASSES)
        self->subscription->priority = (int)priority;
    return let_go(self, Py_NewRef(Py_None));
}

/* retransmit([sequence], now) -> how many can be */
static PyObject *subscription_retransmit(PyObject *object, PyObject *arguments) {
    PyObject *sequences;
    double now;
    if (!PyArg_ParseTuple(arguments, "Od", &sequences, &now) || !(sequences = PySequence_Fast(sequences, "sequences")))
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequences);
    uint16_t *numbers = malloc((size_t)(count ? count : 1) * sizeof *numbers);
    for (Py_ssize_t index = 0; numbers && index < count; index++)
        numbers[index] = (uint16_t)PyLong_AsLong(PySequence_Fast_GET_ITEM(sequences, index));
    Py_DECREF(sequences);
    struct subscription_object *self = numbers && !PyErr_Occurred() ? open_subscription(object) : NULL;
    PyObject *result = NULL;
    if (self) {
        int found = rule_retransmit(self->subscription, numbers, (int)count, now);
        result = let_go(self, PyLong_FromLong(found));
    } else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    free(numbers);
    return result;
}

static int index_of(const struct rule_layer *layer) { return layer ? layer->index : -1; }

/* state() -> (current, target (-1 = none), temporal, timestamp delta, last timestamp or None, last sent at, packets,
 * octets, started at or None, retransmitted, refused, held, whether the target's key frame waits) */
static PyObject *subscription_state(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct subscription_object *self = open_subscription(object);
    if (!self)
        return NULL;
    const struct rule_subscription *one = self->subscription;
    const struct rule_egress egress = one->egress;
    int current = index_of(one->current), target = index_of(one->target), held = one->held;
    bool begun = rule_begun(one);
    double started_at = one->started_at;
    unsigned long long retransmitted = one->retransmitted, refused = one->refused;
    if (!rule_done(self->outlet->owner))
        return NULL;
    PyObject *last = egress.started ? PyLong_FromUnsignedLong(egress.last_timestamp) : Py_NewRef(Py_None);
    PyObject *started = started_at < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(started_at);
    return Py_BuildValue("iiikNdKKNKKiN", current, target, egress.temporal_current,
                         (unsigned long)egress.timestamp_delta, last, egress.last_sent_at,
                         (unsigned long long)egress.packets, (unsigned long long)egress.octets, started, retransmitted,
                         refused, held, PyBool_FromLong(begun));
}

/* answered() -> (block or None, round trip or None, bits per second); a block is (fraction lost, cumulative lost, highest,
 * jitter, last sr, delay) */
static PyObject *subscription_answered(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct subscription_object *self = open_subscription(object);
    if (!self)
        return NULL;
    const struct rule_answers answers = self->subscription->answers;
    const struct rule_block *block = &answers.block;
    long long bps = self->subscription->rate.bps;
    if (!rule_done(self->outlet->owner))
        return NULL;
    PyObject *trip = answers.round_trip < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(answers.round_trip);
    if (!answers.known)
        return Py_BuildValue("ONL", Py_None, trip, bps);
    return Py_BuildValue("(iiIIII)NL", block->fraction_lost, block->cumulative_lost, block->highest, block->jitter,
                         block->last_sr, block->delay, trip, bps);
}

/* answer(fraction lost, cumulative lost, highest, jitter, last sr, delay, now): a report of the receiver's. */
static PyObject *subscription_answer(PyObject *object, PyObject *arguments) {
    struct rule_block block;
    double now;
    if (!PyArg_ParseTuple(arguments, "iiIIIId", &block.fraction_lost, &block.cumulative_lost, &block.highest,
                          &block.jitter, &block.last_sr, &block.delay, &now))
        return NULL;
    struct subscription_object *self = open_subscription(object);
    if (!self)
        return NULL;
    rule_answered(self->subscription, &block, now);
    return let_go(self, Py_NewRef(Py_None));
}

/* pad([subscription], least, now) -> bytes sent; all of one outlet. */
static PyObject *rule_python_pad(PyObject *type, PyObject *arguments) {
    PyObject *given;
    int least, sent = 0;
    double now;
    (void)type;
    if (!PyArg_ParseTuple(arguments, "Oid", &given, &least, &now) || !(given = PySequence_Fast(given, "subscriptions")))
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(given), open = 0;
    struct rule_subscription **list = malloc((size_t)(count ? count : 1) * sizeof *list);
    struct subscription_object *first = NULL;
    for (Py_ssize_t index = 0; list && index < count; index++) {
        struct subscription_object *one = (struct subscription_object *)PySequence_Fast_GET_ITEM(given, index);
        if (!PyObject_TypeCheck((PyObject *)one, &rule_subscription_type) || !one->subscription)
            continue;
        first = first ? first : one;
        if (one->outlet == first->outlet)
            list[open++] = one->subscription;
    }
    PyObject *result = PyLong_FromLong(0);
    if (first && rule_enter(first->outlet->owner)) {
        sent = rule_pad(first->outlet->peer, list, (int)open, least, now);
        Py_XSETREF(result, let_go(first, PyLong_FromLong(sent)));
    }
    free(list);
    Py_DECREF(given);
    return PyErr_Occurred() ? NULL : result;
}

static PyMethodDef subscription_methods[] = {
    {"close", subscription_close, METH_NOARGS, NULL},
    {"aim", subscription_aim, METH_O, NULL},
    {"leave", subscription_leave, METH_NOARGS, NULL},
    {"aim_temporal", subscription_aim_temporal, METH_O, NULL},
    {"prioritize", subscription_prioritize, METH_O, NULL},
    {"retransmit", subscription_retransmit, METH_VARARGS, NULL},
    {"state", subscription_state, METH_NOARGS, NULL},
    {"answered", subscription_answered, METH_NOARGS, NULL},
    {"answer", subscription_answer, METH_VARARGS, NULL},
    {"pad", rule_python_pad, METH_VARARGS | METH_STATIC, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject rule_subscription_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.RuleSubscription",
    .tp_basicsize = sizeof(struct subscription_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = subscription_make,
    .tp_dealloc = subscription_dealloc,
    .tp_methods = subscription_methods,
};
