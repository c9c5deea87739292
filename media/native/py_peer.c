/* The Python type `EnginePeer`: one transport (or tap) on an engine. */
#include "py_engine.h"

#include <string.h>
#include <unistd.h>

/* The engine's peer of an open one, with the lock taken; NULL with an exception when it is closed. */
static struct engine_peer *enter(struct engine_peer_object *self)
{
    if (self->peer == NULL || !self->owner->open || self->owner->engine.process != getpid()) {
        PyErr_SetString(PyExc_RuntimeError, "the peer is closed");
        return NULL;
    }
    py_engine_lock(&self->owner->engine);
    return self->peer;
}

static void leave(struct engine_peer_object *self)
{
    py_engine_unlock(&self->owner->engine);
}

void py_peer_shut(struct engine_peer_object *self)
{
    struct engine_object *owner = self->owner;
    if (self->peer == NULL)
        return;
    struct engine_peer *peer = self->peer;
    self->peer = NULL;
    owner->peers[peer->number] = NULL;
    if (owner->engine.process == getpid()) {
        py_engine_lock(&owner->engine);
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
        py_engine_unlock(&owner->engine);
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
    py_peer_shut((struct engine_peer_object *)object);
    return 0;
}

static void peer_dealloc(PyObject *object)
{
    PyObject_GC_UnTrack(object);
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    py_peer_shut(self);
    Py_CLEAR(self->handle);
    Py_XDECREF((PyObject *)self->owner);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *peer_close(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    py_peer_shut((struct engine_peer_object *)object);
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

/* set_consent(ufrag, password, nominated): which checks are answered without Python; an empty ufrag: none. */
static PyObject *peer_set_consent(PyObject *object, PyObject *arguments)
{
    struct engine_peer_object *self = (struct engine_peer_object *)object;
    struct consent consent = {0};
    const char *ufrag, *password;
    Py_ssize_t ufrag_length, password_length;
    int nominated;
    if (!PyArg_ParseTuple(arguments, "s#s#p", &ufrag, &ufrag_length, &password, &password_length, &nominated))
        return NULL;
    if (!consent_set(&consent, ufrag, (size_t)ufrag_length, (const uint8_t *)password, (size_t)password_length,
            nominated))
        return PyErr_Format(PyExc_ValueError, "at most 32 bytes of ufrag and 64 of password");
    struct engine_peer *peer = enter(self);
    if (peer == NULL)
        return NULL;
    peer->consent = consent;
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
    {"set_consent", peer_set_consent, METH_VARARGS, NULL},
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

PyTypeObject engine_peer_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.EnginePeer",
    .tp_basicsize = sizeof(struct engine_peer_object),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_traverse = peer_traverse,
    .tp_clear = peer_clear,
    .tp_dealloc = peer_dealloc,
    .tp_methods = peer_methods,
    .tp_getset = peer_properties,
};
