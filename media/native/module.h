/* What the parts of the Python module share. Each part adds its types; this file's one idea is the glue. */
#ifndef HUIZHEN_MODULE_H
#define HUIZHEN_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "srtp.h"

/* Raised with every change of the Python face; media/native/__init__.py holds the same number. */
#define NATIVE_ABI 1

enum packet_protection { PROTECT_PLAIN = 0, PROTECT_RTP = 1, PROTECT_RTCP = 2 };

struct srtp_object {
    PyObject_HEAD
    PyObject *owner;
    void *context;
    int outbound;
};

extern PyTypeObject srtp_type;

/* Each adds its types to the module: 0, or -1 with an exception. */
int add_srtp_type(PyObject *module);
int add_batch_type(PyObject *module);
int add_engine_types(PyObject *module);
/* The rule's own face; the module works without it. */
__attribute__((weak)) int add_rule_types(PyObject *module);

#endif
