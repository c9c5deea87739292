/* The rule's objects as Python holds them (rule_module.c, rule_peers.c, rule_producers.c, rule_subscriptions.c). */
#ifndef RULE_MODULE_H
#define RULE_MODULE_H

#include "module.h"
#include "rule_tables.h"

struct rule_object {
    PyObject_HEAD
    struct rule *rule;
    uint8_t *room;   /* where the sink into Python writes a packet */
    bool is_calling; /* within a call into Python: nothing may come back */
    PyObject *failed_type, *failed, *failed_trace;
};

struct peer_object {
    PyObject_HEAD
    struct rule_object *owner;
    struct rule_peer *peer; /* NULL = closed */
    PyObject *out;          /* what the sink into Python calls */
};

struct producer_object {
    PyObject_HEAD
    struct peer_object *peer;
    struct rule_producer *producer; /* NULL = closed */
};

extern PyTypeObject rule_type, rule_peer_type, rule_producer_type, rule_subscription_type;

/* For the engine: the tables behind an object, borrowed. NULL with an exception when it is another one or closed. */
struct rule *rule_of(PyObject *object);
struct rule_peer *rule_peer_of(PyObject *object);

/* Lock; the GIL is given up while it waits. False with an exception within a call into Python. */
bool rule_enter(struct rule_object *owner);
/* Unlock; `result`, or NULL with what failed in a call into Python. */
PyObject *rule_exit(struct rule_object *owner, PyObject *result);
/* A list of numbers; NULL with an exception. */
PyObject *rule_list_of(const int64_t *numbers, int count);

#endif
