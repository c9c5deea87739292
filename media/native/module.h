/* What the parts of the Python module share. Each part adds its types; this file's one idea is the glue. */
#ifndef HUIZHEN_MODULE_H
#define HUIZHEN_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "srtp.h"

/* A digest of the Python face that this is compiled for, given by hatch_build.py; media/native/__init__.py
 * refuses another one. */
#ifndef NATIVE_FACE
#define NATIVE_FACE ""
#endif

struct srtp_object {
    PyObject_HEAD
    PyObject *owner;
    void *context;
    int outbound;
};

extern PyTypeObject srtp_type;

/* Each adds its types to the module: 0, or -1 with an exception. */
int add_srtp_type(PyObject *module);
int add_engine_types(PyObject *module);
/* The rule's own face; the module works without it. */
__attribute__((weak)) int add_rule_types(PyObject *module);

#endif
