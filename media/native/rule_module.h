/* The rule's objects as Python holds them (rule_module.c, rule_peers.c with rule_lines.c, rule_producers.c with
 * rule_layers.c, rule_subscriptions.c).
 *
 * Under the lock nothing is made that the garbage collector counts, as tuples and lists: it might begin to
 * collect, and what goes then may want the lock. */
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
/* Unlock; false with what failed in a call into Python. */
bool rule_done(struct rule_object *owner);
/* The same; `result`, or NULL. */
PyObject *rule_exit(struct rule_object *owner, PyObject *result);
/* An open peer, an open producer: locked; NULL with an exception. */
struct peer_object *rule_open_peer(PyObject *object);
struct producer_object *rule_open_producer(PyObject *object);
/* A list of numbers; NULL with an exception. */
PyObject *rule_list_of(const int64_t *numbers, int count);

/* Methods of a producer whose first argument is the number of one of its layers. */
PyObject *rule_layer_face_bind(PyObject *object, PyObject *arguments);
PyObject *rule_layer_face_set_alive(PyObject *object, PyObject *arguments);
PyObject *rule_layer_face_touch(PyObject *object, PyObject *arguments);
PyObject *rule_layer_face_replaced(PyObject *object, PyObject *index);
PyObject *rule_layer_face_learn_clock(PyObject *object, PyObject *arguments);
PyObject *rule_layer_face_state(PyObject *object, PyObject *index);
PyObject *rule_layer_face_ssrcs(PyObject *object, PyObject *index);
PyObject *rule_layer_face_reception(PyObject *object, PyObject *index);
PyObject *rule_layer_face_frames(PyObject *object, PyObject *index);
PyObject *rule_layer_face_clock(PyObject *object, PyObject *index);
PyObject *rule_layer_face_bitrate(PyObject *object, PyObject *index);
PyObject *rule_layer_face_missing(PyObject *object, PyObject *index);
PyObject *rule_layer_face_take_missing(PyObject *object, PyObject *arguments);
PyObject *rule_layer_face_forgive(PyObject *object, PyObject *index);

/* Methods of a peer. */
PyObject *rule_line_face_hear(PyObject *object, PyObject *arguments);
PyObject *rule_line_face_heard(PyObject *object, PyObject *nothing);
PyObject *rule_line_face_be_calm(PyObject *object, PyObject *arguments);
PyObject *rule_line_face_probing(PyObject *object, PyObject *arguments);
PyObject *rule_line_face_forget_delays(PyObject *object, PyObject *nothing);
PyObject *rule_line_face_set_feedback(PyObject *object, PyObject *arguments);
PyObject *rule_line_face_feedback_due(PyObject *object, PyObject *nothing);
PyObject *rule_line_face_feedback(PyObject *object, PyObject *at);
PyObject *rule_line_face_report(PyObject *object, PyObject *arguments);
PyObject *rule_line_face_stamps(PyObject *object, PyObject *nothing);

#endif
