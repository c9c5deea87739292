/* The engine's faces for Python: `Engine` (py_engine.c) and `EnginePeer` (py_peer.c).
 *
 * Under the lock neither touches a Python object: an allocation may run a destructor that wants the lock. */
#ifndef HUIZHEN_PY_ENGINE_H
#define HUIZHEN_PY_ENGINE_H

#include "module.h"

#include "engine.h"
#include "rule_module.h"

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

extern PyTypeObject engine_peer_type;

/* The GIL is given up while it waits. */
void py_engine_lock(struct engine *engine);
void py_engine_unlock(struct engine *engine);
/* Let the engine's peer go, and what Python gave for it; idempotent. */
void py_peer_shut(struct engine_peer_object *self);

#endif
