/* The Python type `Batch`: many peers on one UDP socket, for load tests. */
#include "module.h"

#include "batch.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 16, RECORDS_MOST = 1 << 20, PEERS_MOST = 1 << 20 };
enum { FLAG_MARKER = 1, FLAG_REFUSED = 2 };

struct record {
    uint32_t tag, ssrc;
    uint16_t sequence, length;
    uint32_t timestamp;
    uint64_t arrival_ns;
    uint8_t payload_type, flags;
    uint16_t payload_at;
    uint32_t reserved;
    uint8_t head[HEAD_BYTES];
};

_Static_assert(sizeof(struct record) == 48, "RECORD says so");

struct batch_peer {
    struct destination to;
    struct address_key key;
    uint32_t tag;
    struct srtp_object *protect, *unprotect;
};

struct batch_object {
    PyObject_HEAD
    struct inbox inbox;
    struct outbox outbox;
    struct address_table table;
    struct batch_peer **peers;
    uint32_t peers_size;
    int family;
    bool busy;
    unsigned most_records;
    PyObject *records;
    Py_buffer record_bytes;
    uint8_t *protections;  /* of the datagrams staged for one system call */
    uint32_t *lengths;
    struct batch_peer **receivers;
    uint32_t *others;      /* slots of the inbox to be told one by one */
    uint32_t *other_peers;
    uint64_t received, received_bytes, receive_calls, refused, unknown;
};

static void drop_peer(struct batch_object *self, uint32_t number)
{
    struct batch_peer *peer = self->peers[number];
    address_table_remove(&self->table, &peer->key);
    Py_XDECREF((PyObject *)peer->protect);
    Py_XDECREF((PyObject *)peer->unprotect);
    free(peer);
    self->peers[number] = NULL;
}

static void batch_dealloc(PyObject *object)
{
    struct batch_object *self = (struct batch_object *)object;
    for (uint32_t number = 0; number < self->peers_size; number++)
        if (self->peers[number] != NULL)
            drop_peer(self, number);
    free(self->peers);
    free(self->protections);
    free(self->lengths);
    free(self->receivers);
    free(self->others);
    free(self->other_peers);
    inbox_free(&self->inbox);
    outbox_free(&self->outbox);
    address_table_free(&self->table);
    if (self->record_bytes.obj != NULL)
        PyBuffer_Release(&self->record_bytes);
    Py_CLEAR(self->records);
    Py_TYPE(object)->tp_free(object);
}

static bool allocate(struct batch_object *self, int fd, unsigned slots)
{
    int on = 1;
    bool locals = self->family == AF_INET && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
    self->protections = calloc(slots, sizeof *self->protections);
    self->lengths = calloc(slots, sizeof *self->lengths);
    self->receivers = calloc(slots, sizeof(struct batch_peer *));
    self->others = calloc(slots, sizeof *self->others);
    self->other_peers = calloc(slots, sizeof *self->other_peers);
    return self->protections != NULL && self->lengths != NULL && self->receivers != NULL && self->others != NULL
        && self->other_peers != NULL && address_table_init(&self->table) && inbox_init(&self->inbox, fd, slots, locals)
        && outbox_init(&self->outbox, fd, slots, true);
}

static PyObject *batch_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"fd", "slots", "records", NULL};
    int fd;
    unsigned slots = 64, records = 4096;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i|II", names, &fd, &slots, &records))
        return NULL;
    if (slots < 1 || slots > BATCH_SLOTS_MOST || records < 1 || records > RECORDS_MOST)
        return PyErr_Format(PyExc_ValueError, "1 to %d slots, 1 to %d records", BATCH_SLOTS_MOST, RECORDS_MOST);
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    struct batch_object *self = (struct batch_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->family = bound.ss_family;
    self->most_records = records;
    self->records = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)records * (Py_ssize_t)sizeof(struct record));
    if (self->records == NULL || PyObject_GetBuffer(self->records, &self->record_bytes, PyBUF_WRITABLE) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    if (!allocate(self, fd, slots)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static bool refuse_if_busy(struct batch_object *self)
{
    if (self->busy)
        PyErr_SetString(PyExc_RuntimeError, "another thread uses this batch");
    return self->busy;
}

static struct batch_peer *find_peer(struct batch_object *self, long long number)
{
    if (number >= 0 && number < (long long)self->peers_size && self->peers[number] != NULL)
        return self->peers[number];
    PyErr_Format(PyExc_ValueError, "no peer %lld", number);
    return NULL;
}

/* A free number, with room for it in the table of peers; ADDRESS_NONE without memory. */
static uint32_t free_number(struct batch_object *self)
{
    for (uint32_t number = 0; number < self->peers_size; number++)
        if (self->peers[number] == NULL)
            return number;
    uint32_t size = self->peers_size ? 2 * self->peers_size : 64;
    if (size > PEERS_MOST)
        return ADDRESS_NONE;
    struct batch_peer **peers = realloc(self->peers, size * sizeof(struct batch_peer *));
    if (peers == NULL)
        return ADDRESS_NONE;
    memset(peers + self->peers_size, 0, (size - self->peers_size) * sizeof(struct batch_peer *));
    uint32_t number = self->peers_size;
    self->peers = peers;
    self->peers_size = size;
    return number;
}

static PyObject *batch_add_peer(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"ip", "port", "local_ip", "tag", NULL};
    struct batch_object *self = (struct batch_object *)object;
    const char *ip, *local_ip = NULL;
    unsigned short port;
    unsigned int tag = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sH|zI", names, &ip, &port, &local_ip, &tag)
        || refuse_if_busy(self))
        return NULL;
    struct batch_peer peer = {.tag = tag};
    destination_init(&peer.to);
    if (!address_of_text(ip, port, self->family, &peer.to.address, &peer.to.address_length))
        return PyErr_Format(PyExc_ValueError, "not an address of this socket's family");
    struct in_addr local = {0};
    if (local_ip != NULL && (!self->inbox.locals || inet_pton(AF_INET, local_ip, &local) != 1))
        return PyErr_Format(PyExc_ValueError, "not a local IPv4 address");
    peer.to.local = local.s_addr;
    peer.key = address_key_of(&peer.to.address);
    peer.key.local = local.s_addr;
    if (address_table_get(&self->table, &peer.key) != ADDRESS_NONE)
        return PyErr_Format(PyExc_ValueError, "known already");
    uint32_t number = free_number(self);
    struct batch_peer *kept = number == ADDRESS_NONE ? NULL : malloc(sizeof *kept);
    if (kept == NULL || !address_table_put(&self->table, &peer.key, number)) {
        free(kept);
        return PyErr_NoMemory();
    }
    *kept = peer;
    self->peers[number] = kept;
    return PyLong_FromUnsignedLong(number);
}

static bool keys_given(PyObject *object, bool outbound, struct srtp_object **keys)
{
    *keys = NULL;
    if (object == Py_None)
        return true;
    if (!PyObject_TypeCheck(object, &srtp_type) || ((struct srtp_object *)object)->outbound != (int)outbound) {
        PyErr_SetString(PyExc_TypeError, "protect is an outbound Srtp, unprotect an inbound one");
        return false;
    }
    *keys = (struct srtp_object *)object;
    return true;
}

static PyObject *batch_set_keys(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"peer", "protect", "unprotect", NULL};
    struct batch_object *self = (struct batch_object *)object;
    long long number;
    PyObject *outbound, *inbound;
    struct srtp_object *protect, *unprotect;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "LOO", names, &number, &outbound, &inbound)
        || refuse_if_busy(self))
        return NULL;
    struct batch_peer *peer = find_peer(self, number);
    if (peer == NULL || !keys_given(outbound, true, &protect) || !keys_given(inbound, false, &unprotect))
        return NULL;
    Py_XINCREF((PyObject *)protect);
    Py_XINCREF((PyObject *)unprotect);
    Py_XSETREF(peer->protect, protect);
    Py_XSETREF(peer->unprotect, unprotect);
    Py_RETURN_NONE;
}

static PyObject *batch_remove_peer(PyObject *object, PyObject *argument)
{
    struct batch_object *self = (struct batch_object *)object;
    long long number = PyLong_AsLongLong(argument);
    if ((number == -1 && PyErr_Occurred() != NULL) || refuse_if_busy(self) || find_peer(self, number) == NULL)
        return NULL;
    drop_peer(self, (uint32_t)number);
    Py_RETURN_NONE;
}

/* Check one item of `send`, and with `slot` >= 0 copy it there. */
static bool stage(struct batch_object *self, PyObject *item, long slot)
{
    long long number;
    int protection;
    Py_buffer packet;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "items are tuples");
        return false;
    }
    if (!PyArg_ParseTuple(item, "Liy*", &number, &protection, &packet))
        return false;
    struct batch_peer *peer = find_peer(self, number);
    bool good = peer != NULL && packet.len <= DATAGRAM_MOST && protection >= PROTECT_PLAIN
        && protection <= PROTECT_RTCP && (protection == PROTECT_PLAIN || peer->protect != NULL);
    if (!good && peer != NULL)
        PyErr_SetString(PyExc_ValueError, "packet too long, unknown protection, or no keys");
    if (good && slot >= 0) {
        memcpy(self->outbox.bytes + (size_t)slot * DATAGRAM_STRIDE, packet.buf, (size_t)packet.len);
        self->lengths[slot] = (uint32_t)packet.len;
        self->protections[slot] = (uint8_t)protection;
        self->receivers[slot] = peer;
    }
    PyBuffer_Release(&packet);
    return good;
}

/* Protect what was staged, and send it. Without the GIL. */
static void send_staged(struct batch_object *self, unsigned count)
{
    for (unsigned slot = 0; slot < count; slot++) {
        struct batch_peer *peer = self->receivers[slot];
        uint8_t *packet = outbox_room(&self->outbox);
        uint32_t length = self->lengths[slot];
        srtp_function function =
            self->protections[slot] == PROTECT_RTP ? srtp_library.protect : srtp_library.protect_rtcp;
        if (self->protections[slot] == PROTECT_PLAIN || srtp_in_place(function, peer->protect->context, packet, &length)) {
            outbox_add(&self->outbox, &peer->to, length);
        } else {
            self->outbox.counters.failed++;
            outbox_skip(&self->outbox);
        }
    }
    outbox_flush(&self->outbox);
}

static PyObject *batch_send(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"items", "gso", NULL};
    struct batch_object *self = (struct batch_object *)object;
    PyObject *given;
    int gso = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|p", names, &given, &gso) || refuse_if_busy(self))
        return NULL;
    PyObject *items = PySequence_Fast(given, "items must be a sequence");
    if (items == NULL)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
    uint64_t before = self->outbox.counters.sent;
    bool good = true;
    if (count > (Py_ssize_t)self->outbox.slots) /* nothing is sent when one of them is wrong */
        for (Py_ssize_t at = 0; at < count && good; at++)
            good = stage(self, PySequence_Fast_GET_ITEM(items, at), -1);
    self->outbox.segments = gso;
    for (Py_ssize_t at = 0; at < count && good;) {
        unsigned staged = 0;
        while (good && staged < self->outbox.slots && at < count) {
            good = stage(self, PySequence_Fast_GET_ITEM(items, at++), (long)staged);
            staged += good;
        }
        if (!good)
            break;
        self->busy = true;
        Py_BEGIN_ALLOW_THREADS
        send_staged(self, staged);
        Py_END_ALLOW_THREADS
        self->busy = false;
    }
    Py_DECREF(items);
    return good ? PyLong_FromUnsignedLongLong(self->outbox.counters.sent - before) : NULL;
}

static void write_record(struct record *record, const struct batch_peer *peer, const uint8_t *packet, uint32_t length,
    uint64_t arrival, bool authentic)
{
    *record = (struct record){.tag = peer->tag, .length = (uint16_t)length, .arrival_ns = arrival};
    record->flags = authentic ? 0 : FLAG_REFUSED;
    if (!authentic)
        return;
    uint32_t at = 12 + 4u * (packet[0] & 15);
    if ((packet[0] & 16) && at + 4 <= length)
        at += 4 + 4u * (uint32_t)(packet[at + 2] << 8 | packet[at + 3]);
    record->payload_at = (uint16_t)(at <= length ? at : length);
    record->payload_type = packet[1] & 0x7F;
    record->flags |= packet[1] & 0x80 ? FLAG_MARKER : 0;
    record->sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    memcpy(&record->timestamp, packet + 4, 4);
    memcpy(&record->ssrc, packet + 8, 4);
    record->timestamp = ntohl(record->timestamp);
    record->ssrc = ntohl(record->ssrc);
    uint32_t left = length - record->payload_at;
    memcpy(record->head, packet + record->payload_at, left < HEAD_BYTES ? left : HEAD_BYTES);
}

static uint32_t source_of(struct batch_object *self, unsigned slot)
{
    struct address_key key = address_key_of(&self->inbox.sources[slot]);
    if (!self->inbox.locals)
        return address_table_get(&self->table, &key);
    key.local = inbox_local(&self->inbox, slot);
    uint32_t number = address_table_get(&self->table, &key);
    key.local = 0;
    return number != ADDRESS_NONE ? number : address_table_get(&self->table, &key);
}

/* One system call and what follows from it; how many records and others. Without the GIL. */
static unsigned read_batch(struct batch_object *self, unsigned most, bool whole, struct record *records,
    unsigned *others, uint64_t *arrival)
{
    unsigned count = inbox_read(&self->inbox, most), made = 0;
    *others = 0;
    *arrival = (uint64_t)monotonic_ns();
    self->receive_calls++;
    self->received += count;
    for (unsigned slot = 0; slot < count; slot++) {
        uint8_t *packet = inbox_bytes(&self->inbox, slot);
        uint32_t length = inbox_length(&self->inbox, slot);
        self->received_bytes += length;
        enum datagram_kind kind = datagram_classify(packet, length);
        uint32_t number = source_of(self, slot);
        struct batch_peer *peer = number == ADDRESS_NONE ? NULL : self->peers[number];
        self->unknown += peer == NULL;
        bool authentic = true;
        if (peer != NULL && peer->unprotect != NULL && (kind == DATAGRAM_RTP || kind == DATAGRAM_RTCP)) {
            srtp_function function =
                kind == DATAGRAM_RTP ? srtp_library.unprotect : srtp_library.unprotect_rtcp;
            authentic = srtp_in_place(function, peer->unprotect->context, packet, &length);
            self->inbox.messages[slot].msg_len = length;
            self->refused += !authentic;
        }
        if (peer != NULL && kind == DATAGRAM_RTP && !whole) {
            write_record(records + made++, peer, packet, length, *arrival, authentic);
        } else if (authentic) {
            self->others[*others] = slot;
            self->other_peers[(*others)++] = number;
        }
    }
    return count == most ? made | 0x80000000u : made;
}

static PyObject *tell(struct batch_object *self, unsigned other, uint64_t arrival)
{
    unsigned slot = self->others[other];
    uint32_t number = self->other_peers[other];
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;
    address_to_text(&self->inbox.sources[slot], ip, &port);
    return Py_BuildValue("(lIy#siL)", number == ADDRESS_NONE ? -1L : (long)number,
        number == ADDRESS_NONE ? 0u : self->peers[number]->tag, inbox_bytes(&self->inbox, slot),
        (Py_ssize_t)inbox_length(&self->inbox, slot), ip, (int)port, (long long)arrival);
}

/* Fills the records and returns the list of all else; -1 records and NULL on an error. */
static PyObject *receive(struct batch_object *self, PyObject *arguments, PyObject *keywords, bool whole, long *made)
{
    static char *names[] = {"most", NULL};
    unsigned int most = 4096;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|I", names, &most) || refuse_if_busy(self))
        return NULL;
    if (!whole && most > self->most_records)
        most = self->most_records;
    PyObject *list = PyList_New(0);
    struct record *records = self->record_bytes.buf;
    unsigned left = most, total = 0;
    bool more = list != NULL;
    while (more && left > 0) {
        unsigned others, told, ask = left < self->inbox.slots ? left : self->inbox.slots;
        uint64_t arrival;
        self->busy = true;
        Py_BEGIN_ALLOW_THREADS
        do {
            told = read_batch(self, ask, whole, records + total, &others, &arrival);
            more = (told & 0x80000000u) != 0;
            told &= 0x7FFFFFFFu;
            total += told;
            left -= ask;
            ask = left < ask ? left : ask;
        } while (more && others == 0 && left > 0);
        Py_END_ALLOW_THREADS
        self->busy = false;
        for (unsigned other = 0; other < others; other++) {
            PyObject *item = tell(self, other, arrival);
            if (item == NULL || PyList_Append(list, item) < 0) {
                Py_XDECREF(item);
                Py_DECREF(list);
                return NULL;
            }
            Py_DECREF(item);
        }
    }
    *made = (long)total;
    return list;
}

static PyObject *batch_receive(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    long made = 0;
    PyObject *others = receive((struct batch_object *)object, arguments, keywords, false, &made);
    return others == NULL ? NULL : Py_BuildValue("(lN)", made, others);
}

static PyObject *batch_receive_packets(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    long made = 0;
    return receive((struct batch_object *)object, arguments, keywords, true, &made);
}

static PyObject *batch_records(PyObject *object, void *closure)
{
    (void)closure;
    return PyMemoryView_FromObject(((struct batch_object *)object)->records);
}

static PyObject *batch_counters(PyObject *object, void *closure)
{
    (void)closure;
    struct batch_object *self = (struct batch_object *)object;
    const struct outbox_counters *out = &self->outbox.counters;
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsK}", "sent", out->sent, "sent_bytes", out->sent_bytes, "send_dropped",
        out->blocked + out->failed, "send_calls", out->calls, "received", self->received, "received_bytes",
        self->received_bytes, "receive_calls", self->receive_calls, "refused", self->refused, "unknown", self->unknown);
}

static PyMethodDef methods[] = {
    {"add_peer", (PyCFunction)(void (*)(void))batch_add_peer, METH_VARARGS | METH_KEYWORDS, NULL},
    {"set_keys", (PyCFunction)(void (*)(void))batch_set_keys, METH_VARARGS | METH_KEYWORDS, NULL},
    {"remove_peer", batch_remove_peer, METH_O, NULL},
    {"send", (PyCFunction)(void (*)(void))batch_send, METH_VARARGS | METH_KEYWORDS, NULL},
    {"receive", (PyCFunction)(void (*)(void))batch_receive, METH_VARARGS | METH_KEYWORDS, NULL},
    {"receive_packets", (PyCFunction)(void (*)(void))batch_receive_packets, METH_VARARGS | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"records", batch_records, NULL, NULL, NULL},
    {"counters", batch_counters, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject batch_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.Batch",
    .tp_basicsize = sizeof(struct batch_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = batch_new,
    .tp_dealloc = batch_dealloc,
    .tp_methods = methods,
    .tp_getset = properties,
};

int add_batch_type(PyObject *module)
{
    if (PyModule_AddStringConstant(module, "RECORD", "=IIHHIQBBHI16s") < 0
        || PyModule_AddIntConstant(module, "FLAG_MARKER", FLAG_MARKER) < 0
        || PyModule_AddIntConstant(module, "FLAG_REFUSED", FLAG_REFUSED) < 0)
        return -1;
    return PyModule_AddType(module, &batch_type);
}
