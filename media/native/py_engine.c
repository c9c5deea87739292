/* The Python types `Engine`, the media socket's thread, and `EnginePeer`, one transport (or tap) on it.
 *
 * Under the lock nothing here touches a Python object: an allocation may run a destructor that wants the lock. */
#include "module.h"

#include "engine.h"
#include "rule_module.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { UP_BYTES_LEAST = 1 << 16, UP_BYTES_MOST = 1 << 28 };

struct engine_object {
    PyObject_HEAD
    struct engine engine;
    bool open;
    PyObject *rule_owner;
    struct engine_peer_object **peers; /* by number; each clears its own */
    uint32_t peers_room;
};

struct engine_peer_object {
    PyObject_HEAD
    struct engine_object *owner;
    struct engine_peer *peer; /* NULL when closed */
    PyObject *handle;
    PyObject *keys_owner;
    PyObject *rule_owner;
};

static PyTypeObject engine_type, engine_peer_type;

static void lock(struct engine *engine)
{
    pthread_mutex_t *mutex = rule_lock(engine->rule);
    if (pthread_mutex_trylock(mutex) == 0)
        return;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(mutex);
    Py_END_ALLOW_THREADS
}

static void unlock(struct engine *engine)
{
    pthread_mutex_unlock(rule_lock(engine->rule));
}

/* -- Engine ----------------------------------------------------------------------------------------------- */

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

static void shut_peer(struct engine_peer_object *self);

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
            shut_peer(self->peers[number]);
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
    lock(&self->engine);
    struct engine_peer *made = engine_add_peer(&self->engine);
    unlock(&self->engine);
    if (made == NULL || !keep_peer(self, peer, made->number)) {
        if (made != NULL) {
            lock(&self->engine);
            engine_remove_peer(&self->engine, made);
            unlock(&self->engine);
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
    lock(&self->engine);
    const uint8_t *all = engine_take(&self->engine, &bytes);
    unlock(&self->engine);
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
    lock(&self->engine);
    for (int kind = 0; kind < UP_KINDS; kind++)
        dropped += engine->up.dropped[kind];
    struct engine_totals totals = engine->totals;
    unlock(&self->engine);
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsK}", "garbage", totals.garbage, "unknown", totals.unknown, "batches",
        totals.batches, "received", totals.datagrams, "sent", out->sent + side->sent, "send_calls",
        out->calls + side->calls, "send_blocked", out->blocked + side->blocked, "send_failed",
        out->failed + side->failed, "up_dropped", dropped);
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

/* -- EnginePeer ------------------------------------------------------------------------------------------- */

/* The engine's peer of an open one, with the lock taken; NULL with an exception when it is closed. */
static struct engine_peer *enter(struct engine_peer_object *self)
{
    if (self->peer == NULL || !self->owner->open || self->owner->engine.process != getpid()) {
        PyErr_SetString(PyExc_RuntimeError, "the peer is closed");
        return NULL;
    }
    lock(&self->owner->engine);
    return self->peer;
}

static void leave(struct engine_peer_object *self)
{
    unlock(&self->owner->engine);
}

static void shut_peer(struct engine_peer_object *self)
{
    struct engine_object *owner = self->owner;
    if (self->peer == NULL)
        return;
    struct engine_peer *peer = self->peer;
    self->peer = NULL;
    owner->peers[peer->number] = NULL;
    if (owner->engine.process == getpid()) {
        lock(&owner->engine);
        for (uint32_t at = 0; at < owner->engine.addresses.size;) {
            struct address_slot *slot = &owner->engine.addresses.slots[at];
            if (slot->value != peer->number) {
                at++;
                continue;
            }
            struct address_key key = slot->key;
            address_table_remove(&owner->engine.addresses, &key); /* another may move here: look again */
        }
        engine_remove_peer(&owner->engine, peer);
        unlock(&owner->engine);
    }
    Py_CLEAR(self->keys_owner);
    Py_CLEAR(self->rule_owner);
    Py_CLEAR(self->handle);
}

static int peer_traverse(PyObject *object, visitproc visit, void *arg)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    Py_VISIT(self->handle);
    Py_VISIT(self->keys_owner);
    Py_VISIT(self->rule_owner);
    return 0;
}

static int peer_clear(PyObject *object)
{
    shut_peer((struct engine_peer_object *)object);
    return 0;
}

static void peer_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    shut_peer(self);
    Py_CLEAR(self->handle);
    Py_XDECREF((PyObject *)self->owner);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *peer_close(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    shut_peer((struct engine_peer_object *)object);
    Py_RETURN_NONE;
}

static PyObject *peer_set_keys(PyObject *object, PyObject *arguments)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    unsigned long long protect, unprotect;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "KKO", &protect, &unprotect, &owner))
        return NULL;
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    peer->protect = (void *)(uintptr_t)protect;
    peer->unprotect = (void *)(uintptr_t)unprotect;
    leave(self);
    Py_XSETREF(self->keys_owner, Py_NewRef(owner));
    Py_RETURN_NONE;
}

static PyObject *peer_set_way(PyObject *object, PyObject *arguments)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    const char *ip = "";
    unsigned short port = 0;
    int way;
    if (!PyArg_ParseTuple(arguments, "i|sH", &way, &ip, &port))
        return NULL;
    struct sockaddr_storage address;
    socklen_t length = 0;
    if (way < WAY_NONE || way > WAY_UP
        || (way == WAY_UDP && !address_of_text(ip, port, self->owner->engine.family, &address, &length)))
        return PyErr_Format(PyExc_ValueError, "no such way, or not an address of this socket's family");
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    struct engine *engine = &self->owner->engine;
    if (engine->side.count > 0)
        outbox_flush(&engine->side); /* what was meant for the old address goes there */
    peer->way = (enum engine_way)way;
    if (way == WAY_UDP) {
        peer->to.address = address;
        peer->to.address_length = length;
    }
    leave(self);
    Py_RETURN_NONE;
}

static PyObject *change_address(struct engine_peer_object *self, PyObject *arguments, bool add)
{
    const char *ip;
    unsigned short port;
    if (!PyArg_ParseTuple(arguments, "sH", &ip, &port))
        return NULL;
    struct sockaddr_storage address;
    socklen_t length;
    if (!address_of_text(ip, port, self->owner == NULL ? AF_INET : self->owner->engine.family, &address, &length))
        return PyErr_Format(PyExc_ValueError, "not an address of this socket's family");
    struct address_key key = address_key_of(&address);
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    struct address_table *table = &self->owner->engine.addresses;
    bool done = true;
    if (add)
        done = address_table_put(table, &key, peer->number);
    else if (address_table_get(table, &key) == peer->number)
        address_table_remove(table, &key);
    leave(self);
    if (!done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *peer_add_address(PyObject *object, PyObject *arguments)
{
    return change_address((struct engine_peer_object *)object, arguments, true);
}

static PyObject *peer_remove_address(PyObject *object, PyObject *arguments)
{
    return change_address((struct engine_peer_object *)object, arguments, false);
}

static PyObject *protect(struct engine_peer_object *self, PyObject *packet, bool rtcp)
{
    uint8_t work[DATAGRAM_STRIDE] __attribute__((aligned(8)));
    Py_buffer given;
    if (PyObject_GetBuffer(packet, &given, PyBUF_SIMPLE) < 0)
        return NULL;
    uint32_t length = (uint32_t)given.len;
    bool good = given.len >= 8 && given.len <= DATAGRAM_MOST;
    if (good)
        memcpy(work, given.buf, (size_t)given.len);
    PyBuffer_Release(&given);
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    good = good && peer->protect != NULL
        && srtp_in_place(rtcp ? srtp_library.protect_rtcp : srtp_library.protect, peer->protect, work, &length);
    leave(self);
    if (!good)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)work, length);
}

static PyObject *peer_rtp(PyObject *object, PyObject *packet)
{
    return protect((struct engine_peer_object *)object, packet, false);
}

static PyObject *peer_rtcp(PyObject *object, PyObject *packet)
{
    return protect((struct engine_peer_object *)object, packet, true);
}

static PyObject *peer_receive(PyObject *object, PyObject *packet)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    uint8_t work[DATAGRAM_STRIDE] __attribute__((aligned(8)));
    Py_buffer given;
    if (PyObject_GetBuffer(packet, &given, PyBUF_SIMPLE) < 0)
        return NULL;
    size_t length = (size_t)given.len;
    if (length <= DATAGRAM_MOST)
        memcpy(work, given.buf, length);
    PyBuffer_Release(&given);
    enum datagram_kind kind = length <= DATAGRAM_MOST ? datagram_classify(work, length) : DATAGRAM_GARBAGE;
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    peer->counters.packets_received++;
    peer->counters.bytes_received += length;
    if (kind == DATAGRAM_RTP || kind == DATAGRAM_RTCP)
        engine_receive(&self->owner->engine, peer, kind, work, (uint32_t)length, monotonic_ns());
    else
        peer->counters.refused++;
    engine_settle(&self->owner->engine);
    leave(self);
    Py_RETURN_NONE;
}

static PyObject *peer_attach(PyObject *object, PyObject *rule_owner)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    struct rule_peer *rule_peer = rule_owner == Py_None ? NULL : rule_peer_of(rule_owner);
    if (rule_peer == NULL && rule_owner != Py_None)
        return NULL;
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    engine_attach(peer, rule_peer);
    leave(self);
    Py_XSETREF(self->rule_owner, Py_NewRef(rule_owner));
    Py_RETURN_NONE;
}

static PyObject *peer_heard(PyObject *object, void *closure)
{
    (void)closure;
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    int64_t heard = peer->heard_ns;
    leave(self);
    return PyFloat_FromDouble((double)heard * 1e-9);
}

static PyObject *peer_counters(PyObject *object, void *closure)
{
    (void)closure;
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    struct engine_counters counters = peer->counters;
    leave(self);
    return Py_BuildValue("(KKKKKK)", counters.packets_received, counters.bytes_received, counters.packets_sent,
        counters.bytes_sent, counters.refused, counters.dropped);
}

static PyMethodDef peer_methods[] = {
    {"close", peer_close, METH_NOARGS, NULL},
    {"set_keys", peer_set_keys, METH_VARARGS, NULL},
    {"set_way", peer_set_way, METH_VARARGS, NULL},
    {"add_address", peer_add_address, METH_VARARGS, NULL},
    {"remove_address", peer_remove_address, METH_VARARGS, NULL},
    {"rtp", peer_rtp, METH_O, NULL},
    {"rtcp", peer_rtcp, METH_O, NULL},
    {"receive", peer_receive, METH_O, NULL},
    {"attach", peer_attach, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef peer_properties[] = {
    {"heard", peer_heard, NULL, NULL, NULL},
    {"counters", peer_counters, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject engine_peer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.EnginePeer",
    .tp_basicsize = sizeof(struct engine_peer_object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = peer_traverse,
    .tp_clear = peer_clear,
    .tp_dealloc = peer_dealloc,
    .tp_methods = peer_methods,
    .tp_getset = peer_properties,
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
