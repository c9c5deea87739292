/* The Python type `Engine`: the media socket's thread. */
#include "py_engine.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { UP_BYTES_LEAST = 1 << 16, UP_BYTES_MOST = 1 << 28 };

static PyTypeObject engine_type;

void py_engine_lock(struct engine *engine)
{
    pthread_mutex_t *mutex = rule_lock(engine->rule);
    if (pthread_mutex_trylock(mutex) == 0)
        return;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(mutex);
    Py_END_ALLOW_THREADS
}

void py_engine_unlock(struct engine *engine)
{
    pthread_mutex_unlock(rule_lock(engine->rule));
}

static PyObject *engine_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", "rule", "most_peers", "up_bytes", NULL};
    int fd;
    PyObject *rule_owner;
    unsigned most_peers;
    Py_ssize_t up_bytes;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "iOIn", names, &fd, &rule_owner, &most_peers, &up_bytes))
        return NULL;
    if (srtp_library.protect == NULL || up_bytes < UP_BYTES_LEAST || up_bytes > UP_BYTES_MOST)
        return PyErr_Format(PyExc_ValueError, "bind comes first, and room is between 64 KiB and 256 MiB");
    struct rule *rule = rule_of(rule_owner);
    struct engine_object *self = rule == NULL ? NULL : (struct engine_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (!engine_init(&self->engine, fd, rule, most_peers, (size_t)up_bytes)) {
        Py_DECREF(self);
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    self->open = true;
    self->rule_owner = Py_NewRef(rule_owner);
    if (!engine_start(&self->engine)) {
        Py_DECREF(self);
        return PyErr_Format(PyExc_OSError, "no thread for the media socket");
    }
    return (PyObject *)self;
}

/* End the thread, then let every peer go. In a forked child nothing is touched: the thread is not there, and the lock
 * may have been its. */
static void shut(struct engine_object *self)
{
    if (!self->open)
        return;
    bool ours = self->engine.process == getpid();
    Py_BEGIN_ALLOW_THREADS
    engine_stop(&self->engine);
    Py_END_ALLOW_THREADS
    for (uint32_t number = 0; number < self->peers_room; number++)
        if (self->peers[number] != NULL)
            py_peer_shut(self->peers[number]);
    self->open = false;
    if (!ours)
        return;
    rule_set_sink(self->engine.rule, (struct rule_sink){0});
    engine_free(&self->engine);
}

static void engine_dealloc(PyObject *object)
{
    struct engine_object *self = (struct engine_object *)object;
    shut(self);
    PyMem_Free(self->peers);
    Py_CLEAR(self->rule_owner);
    Py_TYPE(object)->tp_free(object);
}

static bool is_open(struct engine_object *self)
{
    bool open = self->open && self->engine.process == getpid();
    if (!open)
        PyErr_SetString(PyExc_RuntimeError, "the engine is closed");
    return open;
}

static PyObject *engine_close(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    shut((struct engine_object *)object);
    Py_RETURN_NONE;
}

static PyObject *engine_fileno(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    struct engine_object *self = (struct engine_object *)object;
    return is_open(self) ? PyLong_FromLong(self->engine.up_fd) : NULL;
}

static bool keep_peer(struct engine_object *self, struct engine_peer_object *peer, uint32_t number)
{
    if (number >= self->peers_room) {
        uint32_t room = self->engine.peers_room;
        struct engine_peer_object **peers = PyMem_Realloc(self->peers, room * sizeof(struct engine_peer_object *));
        if (peers == NULL)
            return false;
        memset(peers + self->peers_room, 0, (room - self->peers_room) * sizeof(struct engine_peer_object *));
        self->peers = peers;
        self->peers_room = room;
    }
    self->peers[number] = peer;
    return true;
}

static PyObject *engine_peer(PyObject *object, PyObject *handle)
{
    struct engine_object *self = (struct engine_object *)object;
    if (!is_open(self))
        return NULL;
    struct engine_peer_object *peer = (struct engine_peer_object *)engine_peer_type.tp_alloc(&engine_peer_type, 0);
    if (peer == NULL)
        return NULL;
    py_engine_lock(&self->engine);
    struct engine_peer *made = engine_add_peer(&self->engine);
    py_engine_unlock(&self->engine);
    if (made == NULL || !keep_peer(self, peer, made->number)) {
        if (made != NULL) {
            py_engine_lock(&self->engine);
            engine_remove_peer(&self->engine, made);
            py_engine_unlock(&self->engine);
        }
        Py_DECREF(peer);
        return PyErr_Format(PyExc_OverflowError, "no room for another peer");
    }
    peer->owner = (struct engine_object *)Py_NewRef(object);
    peer->peer = made;
    peer->handle = Py_NewRef(handle);
    return (PyObject *)peer;
}

static PyObject *told_of(struct engine_object *self, const struct up_record *record, const uint8_t *packet)
{
    PyObject *handle = Py_None;
    if (record->peer != ADDRESS_NONE) {
        struct engine_peer_object *peer = record->peer < self->peers_room ? self->peers[record->peer] : NULL;
        if (peer == NULL || peer->peer == NULL || peer->peer->generation != record->generation)
            return Py_NewRef(Py_None); /* closed meanwhile */
        handle = peer->handle;
    }
    char ip[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    if (record->kind == UP_STUN || record->kind == UP_EARLY)
        address_to_text(&record->source, ip, &port);
    return Py_BuildValue("(iOy#sid)", (int)record->kind, handle, packet, (Py_ssize_t)record->size, ip, (int)port,
        (double)record->at_ns * 1e-9);
}

static PyObject *python_take(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    struct engine_object *self = (struct engine_object *)object;
    if (!is_open(self))
        return NULL;
    uint64_t value;
    if (read(self->engine.up_fd, &value, sizeof value) < 0)
        value = 0; /* nothing was told; there may be something nevertheless */
    size_t bytes;
    py_engine_lock(&self->engine);
    const uint8_t *all = engine_take(&self->engine, &bytes);
    py_engine_unlock(&self->engine);
    PyObject *list = PyList_New(0);
    for (size_t at = 0; list != NULL && at < bytes;) {
        const struct up_record *record = (const struct up_record *)(const void *)(all + at);
        PyObject *item = told_of(self, record, (const uint8_t *)(record + 1));
        if (item == NULL || (item != Py_None && PyList_Append(list, item) < 0))
            Py_CLEAR(list);
        Py_XDECREF(item);
        at += up_stride(record->size);
    }
    return list;
}

static PyObject *engine_counters(PyObject *object, void *closure)
{
    (void)closure;
    struct engine_object *self = (struct engine_object *)object;
    if (!is_open(self))
        return NULL;
    const struct engine *engine = &self->engine;
    const struct outbox_counters *out = &engine->outbox.counters, *side = &engine->side.counters;
    uint64_t dropped = 0;
    py_engine_lock(&self->engine);
    for (int kind = 0; kind < UP_KINDS; kind++)
        dropped += engine->up.dropped[kind];
    struct engine_totals totals = engine->totals;
    py_engine_unlock(&self->engine);
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsKsK}", "garbage", totals.garbage, "unknown", totals.unknown, "batches",
        totals.batches, "received", totals.datagrams, "checks", totals.checks, "sent", counted(&out->sent) + counted(&side->sent),
        "send_calls", counted(&out->calls) + counted(&side->calls), "send_blocked",
        counted(&out->blocked) + counted(&side->blocked), "send_failed", counted(&out->failed) + counted(&side->failed),
        "up_dropped", dropped);
}

static PyMethodDef engine_methods[] = {
    {"close", engine_close, METH_NOARGS, NULL},
    {"fileno", engine_fileno, METH_NOARGS, NULL},
    {"peer", engine_peer, METH_O, NULL},
    {"take", python_take, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_properties[] = {
    {"counters", engine_counters, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject engine_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.Engine",
    .tp_basicsize = sizeof(struct engine_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = engine_new,
    .tp_dealloc = engine_dealloc,
    .tp_methods = engine_methods,
    .tp_getset = engine_properties,
};

int add_engine_types(PyObject *module)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        {"UP_STUN", UP_STUN}, {"UP_DTLS", UP_DTLS}, {"UP_RTCP", UP_RTCP}, {"UP_RTP", UP_RTP}, {"UP_OUT", UP_OUT}, {"UP_EARLY", UP_EARLY}, {"UP_CONTROL", UP_CONTROL},
        {"WAY_NONE", WAY_NONE}, {"WAY_UDP", WAY_UDP}, {"WAY_UP", WAY_UP},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0)
            return -1;
    return PyModule_AddType(module, &engine_type) < 0 ? -1 : PyModule_AddType(module, &engine_peer_type);
}
