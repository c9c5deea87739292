/* What a peer's lines are told and tell, as Python asks: what a receiver heard, what a publisher is to hear. */
#include "rule_module.h"

/* -- from a receiver -------------------------------------------------------------------------------------- */

/* hear(packet, now) -> whether it was transport-wide feedback alone, and was taken. */
PyObject *rule_line_face_hear(PyObject *object, PyObject *arguments) {
    Py_buffer packet;
    double now;
    if (!PyArg_ParseTuple(arguments, "y*d", &packet, &now))
        return NULL;
    struct peer_object *self = rule_open_peer(object);
    PyObject *result = NULL;
    if (self) {
        bool taken = rule_hear(self->peer, packet.buf, (size_t)packet.len, now);
        result = rule_exit(self->owner, Py_NewRef(taken ? Py_True : Py_False));
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
PyObject *rule_line_face_heard(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    struct rule_heard_all all;
    rule_heard_take(self->peer, &all);
    if (!rule_done(self->owner)) {
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

/* be_calm(until, delay, most bps) */
PyObject *rule_line_face_be_calm(PyObject *object, PyObject *arguments) {
    double until, delay, most_bps;
    if (!PyArg_ParseTuple(arguments, "ddd", &until, &delay, &most_bps))
        return NULL;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    rule_be_calm(self->peer, until, delay, most_bps);
    return rule_exit(self->owner, Py_NewRef(Py_None));
}

/* probing(first, last): of a probe that is under way; first -1 = of none. */
PyObject *rule_line_face_probing(PyObject *object, PyObject *arguments) {
    long long first, last;
    if (!PyArg_ParseTuple(arguments, "LL", &first, &last))
        return NULL;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    rule_probing(self->peer, first >= 0, first, last);
    return rule_exit(self->owner, Py_NewRef(Py_None));
}

PyObject *rule_line_face_forget_delays(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    rule_forget_delays(self->peer);
    return rule_exit(self->owner, Py_NewRef(Py_None));
}

/* -- to a publisher --------------------------------------------------------------------------------------- */

/* set_feedback(extension id, stamps, local ssrc) */
PyObject *rule_line_face_set_feedback(PyObject *object, PyObject *arguments) {
    int id, stamps;
    unsigned long ssrc;
    if (!PyArg_ParseTuple(arguments, "ipk", &id, &stamps, &ssrc))
        return NULL;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    self->peer->feedback_id = id;
    self->peer->feedback_stamps = stamps;
    self->peer->local_ssrc = (uint32_t)ssrc;
    return rule_exit(self->owner, Py_NewRef(Py_None));
}

PyObject *rule_line_face_feedback_due(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
    return self ? rule_exit(self->owner, PyFloat_FromDouble(self->peer->feedback_due)) : NULL;
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

/* What was kept, as a list; unlocks. */
static PyObject *list_written(struct peer_object *self, struct written *written) {
    PyObject *list = rule_done(self->owner) ? PyList_New(0) : NULL;
    for (size_t read = 0, size; list && read < written->used; read += sizeof size + size) {
        memcpy(&size, written->bytes + read, sizeof size);
        PyObject *packet = PyBytes_FromStringAndSize((char *)written->bytes + read + sizeof size, (Py_ssize_t)size);
        if (!packet || PyList_Append(list, packet) < 0)
            Py_CLEAR(list);
        Py_XDECREF(packet);
    }
    free(written->bytes);
    if (list && written->failed) {
        Py_DECREF(list);
        return PyErr_NoMemory();
    }
    return list;
}

/* feedback(now) -> the RTCP packets that are due; from now on nothing is. */
PyObject *rule_line_face_feedback(PyObject *object, PyObject *at) {
    double now = PyFloat_AsDouble(at);
    struct peer_object *self = now == -1.0 && PyErr_Occurred() ? NULL : rule_open_peer(object);
    if (!self)
        return NULL;
    struct written written = {NULL, 0, 0, false};
    rule_write_feedback(self->peer, now, keep_written, &written);
    return list_written(self, &written);
}

/* report(connected, NTP time, now) -> the RTCP packets that nobody has sent yet */
PyObject *rule_line_face_report(PyObject *object, PyObject *arguments) {
    int connected;
    unsigned long long ntp;
    double now;
    struct peer_object *self = PyArg_ParseTuple(arguments, "pKd", &connected, &ntp, &now) ? rule_open_peer(object) : NULL;
    if (!self)
        return NULL;
    const struct rule_sink *sink = &self->peer->rule->sink;
    struct written written = {NULL, 0, 0, false};
    if (sink->control)
        rule_report(self->peer, connected, ntp, now, sink->control, sink->context);
    else
        rule_report(self->peer, connected, ntp, now, keep_written, &written);
    return list_written(self, &written);
}

/* stamps() -> [(send time, size, ssrc, at)]: taken out; from now on nothing is due. */
PyObject *rule_line_face_stamps(PyObject *object, PyObject *nothing) {
    (void)nothing;
    struct peer_object *self = rule_open_peer(object);
    if (!self)
        return NULL;
    struct rule_peer *peer = self->peer;
    struct rule_stamp *stamps = peer->stamps; /* ours from here */
    int count = peer->stamp_count;
    peer->stamps = NULL;
    peer->stamp_count = 0;
    peer->feedback_due = INFINITY;
    PyObject *list = rule_done(self->owner) ? PyList_New(count) : NULL;
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
