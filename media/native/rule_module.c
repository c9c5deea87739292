/* The rule for Python: the whole. Peers, producers and subscriptions have a file each.
 *
 * A sink of its own calls Python for each packet that leaves: for tests, and where no engine runs. */
#include "rule_module.h"

/* -- the sink into Python --------------------------------------------------------------------------------- */

static uint8_t *reserve_room(void *context, void *out, size_t size) {
    (void)out;
    (void)size;
    return ((struct rule_object *)context)->room;
}

static bool commit_room(void *context, void *out, size_t size) {
    struct rule_object *self = context;
    if (self->failed_type)
        return false;
    self->is_calling = true;
    PyObject *taken = PyObject_CallFunction(out, "y#", (char *)self->room, (Py_ssize_t)size);
    self->is_calling = false;
    int is_true = taken ? PyObject_IsTrue(taken) : -1;
    Py_XDECREF(taken);
    if (is_true < 0)
        PyErr_Fetch(&self->failed_type, &self->failed, &self->failed_trace);
    return is_true > 0;
}

bool rule_enter(struct rule_object *owner) {
    if (owner->is_calling) {
        PyErr_SetString(PyExc_RuntimeError, "the rule is in the middle of a packet");
        return false;
    }
    pthread_mutex_t *lock = rule_lock(owner->rule);
    if (pthread_mutex_trylock(lock) != 0) {
        Py_BEGIN_ALLOW_THREADS
        pthread_mutex_lock(lock);
        Py_END_ALLOW_THREADS
    }
    return true;
}

bool rule_done(struct rule_object *owner) {
    const struct rule_sink *sink = &owner->rule->sink;
    if (sink->settle)
        sink->settle(sink->context);
    pthread_mutex_unlock(rule_lock(owner->rule));
    if (!owner->failed_type)
        return true;
    PyErr_Restore(owner->failed_type, owner->failed, owner->failed_trace);
    owner->failed_type = owner->failed = owner->failed_trace = NULL;
    return false;
}

PyObject *rule_exit(struct rule_object *owner, PyObject *result) {
    if (rule_done(owner))
        return result;
    Py_XDECREF(result);
    return NULL;
}

/* -- the whole -------------------------------------------------------------------------------------------- */

#define INTEGER(name) {#name, offsetof(struct rule_limits, name), false}
#define REAL(name) {#name, offsetof(struct rule_limits, name), true}
static const struct {
    const char *name;
    size_t offset;
    bool is_real;
} limit_fields[] = {
    INTEGER(packet_bytes), INTEGER(pool_packets), INTEGER(parked_packets), INTEGER(history_packets), REAL(history_s),
    INTEGER(sent_packets), INTEGER(drops), INTEGER(max_step), INTEGER(padding_history), INTEGER(missing_most),
    INTEGER(missing_tries), REAL(missing_age_s), REAL(missing_retry_s), INTEGER(rtx_per_second), REAL(rtx_repeat_s),
    REAL(rtx_queue_s), REAL(voice_age_s), REAL(voice_retry_s), INTEGER(voice_sent), INTEGER(voice_bytes), INTEGER(voice_twice_after),
    REAL(freeze_s), INTEGER(estimate_sent), REAL(pace_factor), REAL(pace_long_factor), REAL(pace_burst_s),
    REAL(pace_long_s), REAL(pace_queue_s), REAL(pace_turn_s), INTEGER(pace_queue_bytes), INTEGER(pace_queue_packets),
    INTEGER(arrivals), INTEGER(feedback_packets), REAL(feedback_s), INTEGER(levels), INTEGER(consumers),
    INTEGER(feedback_turn), INTEGER(twcc_packet_arrivals), REAL(twcc_late_s), INTEGER(twcc_statuses), REAL(silence_s), INTEGER(heard_feedbacks), INTEGER(heard_packets),
    INTEGER(reports_per_packet), INTEGER(rtcp_bytes), INTEGER(reports_kept), REAL(without_reports_s),
};

static bool read_limit(PyObject *mapping, const char *name, double *value) {
    PyObject *given = PyMapping_GetItemString(mapping, name);
    if (!given)
        return false;
    *value = PyFloat_AsDouble(given);
    Py_DECREF(given);
    if (*value == -1.0 && PyErr_Occurred())
        return false;
    if (!(*value > 0 && *value <= INT32_MAX)) {
        PyErr_Format(PyExc_ValueError, "the limit %s is out of range", name);
        return false;
    }
    return true;
}

static bool read_limits(PyObject *mapping, struct rule_limits *limits) {
    for (size_t index = 0; index < sizeof limit_fields / sizeof *limit_fields; index++) {
        char *field = (char *)limits + limit_fields[index].offset;
        double value;
        if (!read_limit(mapping, limit_fields[index].name, &value))
            return false;
        if (limit_fields[index].is_real)
            memcpy(field, &value, sizeof value);
        else
            memcpy(field, &(int){(int)value}, sizeof(int));
    }
    int sent = limits->sent_packets, estimate = limits->estimate_sent, voice = limits->voice_sent;
    if (limits->twcc_packet_arrivals > RULE_FEEDBACK_ARRIVALS || limits->reports_per_packet > 31 ||
        limits->rtcp_bytes > 1500 || limits->reports_kept > RULE_REPORTS_KEPT) {
        PyErr_SetString(PyExc_ValueError, "too much for one feedback or report");
        return false;
    }
    if (sent & (sent - 1) || estimate & (estimate - 1) || voice & (voice - 1) || limits->packet_bytes > 16000) {
        PyErr_SetString(PyExc_ValueError, "a ring's size is a power of two, a packet's below 16 kB");
        return false;
    }
    return true;
}

static PyObject *rule_make(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *mapping;
    struct rule_limits limits;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O", (char *[]){"limits", NULL}, &mapping) ||
        !read_limits(mapping, &limits))
        return NULL;
    struct rule_object *self = (struct rule_object *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->rule = rule_new(&limits);
    self->room = malloc((size_t)limits.packet_bytes + RULE_PADDING_PACKET + RULE_GROWTH);
    if (!self->rule || !self->room) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    rule_set_sink(self->rule, (struct rule_sink){.context = self, .reserve = reserve_room, .commit = commit_room});
    return (PyObject *)self;
}

static void rule_dealloc(PyObject *object) {
    struct rule_object *self = (struct rule_object *)object;
    if (self->rule)
        rule_free(self->rule);
    free(self->room);
    Py_TYPE(object)->tp_free(object);
}

struct rule *rule_of(PyObject *object) {
    if (!PyObject_TypeCheck(object, &rule_type)) {
        PyErr_SetString(PyExc_TypeError, "not a Rule");
        return NULL;
    }
    return ((struct rule_object *)object)->rule;
}

static PyObject *rule_python_event(PyObject *object, PyObject *nothing) {
    struct rule_object *self = (struct rule_object *)object;
    struct rule_event event;
    (void)nothing;
    if (!rule_has_news(self->rule)) /* a look without the lock: what comes now is told of again */
        Py_RETURN_NONE;
    if (!rule_enter(self))
        return NULL;
    bool is_event = rule_next_event(self->rule, &event);
    if (!rule_done(self))
        return NULL;
    if (!is_event)
        Py_RETURN_NONE;
    return Py_BuildValue("In", event.kinds, (Py_ssize_t)(intptr_t)event.handle);
}

static PyObject *rule_python_run(PyObject *object, PyObject *at) {
    struct rule_object *self = (struct rule_object *)object;
    double now = PyFloat_AsDouble(at);
    if ((now == -1.0 && PyErr_Occurred()) || !rule_enter(self))
        return NULL;
    rule_run(self->rule, now);
    double due = rule_due(self->rule);
    return rule_exit(self, PyFloat_FromDouble(due));
}

static PyObject *rule_python_stats(PyObject *object, PyObject *nothing) {
    struct rule_object *self = (struct rule_object *)object;
    (void)nothing;
    if (!rule_enter(self))
        return NULL;
    struct rule_stats stats = rule_stats(self->rule);
    if (!rule_done(self))
        return NULL;
    return Py_BuildValue("{sKsKsKsisi}", "received", (unsigned long long)stats.received, "sent",
                         (unsigned long long)stats.sent, "exhausted", (unsigned long long)stats.exhausted, "pool_used",
                         stats.pool_used, "pool_size", stats.pool_size);
}

static PyMethodDef rule_methods[] = {
    {"next_event", rule_python_event, METH_NOARGS, NULL},
    {"run", rule_python_run, METH_O, NULL},
    {"stats", rule_python_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject rule_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.Rule",
    .tp_basicsize = sizeof(struct rule_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = rule_make,
    .tp_dealloc = rule_dealloc,
    .tp_methods = rule_methods,
};

/* -- module ----------------------------------------------------------------------------------------------- */

PyObject *rule_list_of(const int64_t *numbers, int count) {
    PyObject *list = PyList_New(count);
    for (int index = 0; list && index < count; index++) {
        PyObject *number = PyLong_FromLongLong(numbers[index]);
        if (!number)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, index, number);
    }
    return list;
}

static int add_type(PyObject *module, const char *name, PyTypeObject *type) {
    return PyType_Ready(type) < 0 ? -1 : PyModule_AddObjectRef(module, name, (PyObject *)type);
}

int add_rule_types(PyObject *module) {
    static const struct {
        const char *name;
        int kind;
    } kinds[] = {{"STUCK", RULE_STUCK},           {"FEEDBACK_DUE", RULE_FEEDBACK_DUE}, {"HELD", RULE_HELD},
                 {"GAP", RULE_GAP},               {"KEY_WANTED", RULE_KEY_WANTED},     {"KEY_CAME", RULE_KEY_CAME},
                 {"SWITCHED", RULE_SWITCHED},     {"STARVED", RULE_STARVED},           {"LEVELS", RULE_LEVELS},
                 {"HEARD", RULE_HEARD}};
    for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++)
        if (PyModule_AddIntConstant(module, kinds[index].name, kinds[index].kind) < 0)
            return -1;
    if (add_type(module, "Rule", &rule_type) < 0 || add_type(module, "RulePeer", &rule_peer_type) < 0 ||
        add_type(module, "RuleProducer", &rule_producer_type) < 0)
        return -1;
    return add_type(module, "RuleSubscription", &rule_subscription_type);
}
