/* The Python type `Srtp`: one direction of one SRTP session. */
#include "module.h"

#include "batch.h"

#include <string.h>

struct srtp_functions srtp_library;

static PyObject *srtp_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"handle", "owner", "outbound", NULL};
    unsigned long long handle;
    PyObject *owner;
    int outbound;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "KOp", names, &handle, &owner, &outbound))
        return NULL;
    if (handle == 0 || srtp_library.protect == NULL)
        return PyErr_Format(PyExc_ValueError, handle == 0 ? "no context at 0" : "bind comes first");
    struct srtp_object *self = (struct srtp_object *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->owner = Py_NewRef(owner);
    self->context = (void *)(uintptr_t)handle;
    self->outbound = outbound;
    return (PyObject *)self;
}

static void srtp_dealloc(PyObject *object)
{
    Py_CLEAR(((struct srtp_object *)object)->owner);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *process(struct srtp_object *self, PyObject *packet, srtp_function function)
{
    Py_buffer given;
    if (PyObject_GetBuffer(packet, &given, PyBUF_SIMPLE) < 0)
        return NULL;
    uint8_t work[DATAGRAM_STRIDE] __attribute__((aligned(8)));
    uint32_t length = (uint32_t)given.len;
    bool fits = given.len >= 8 && given.len <= DATAGRAM_MOST;
    if (fits)
        memcpy(work, given.buf, (size_t)given.len);
    PyBuffer_Release(&given);
    if (!fits || !srtp_in_place(function, self->context, work, &length))
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize((const char *)work, length);
}

static PyObject *srtp_rtp(PyObject *object, PyObject *packet)
{
    struct srtp_object *self = (struct srtp_object *)object;
    return process(self, packet, self->outbound ? srtp_library.protect : srtp_library.unprotect);
}

static PyObject *srtp_rtcp(PyObject *object, PyObject *packet)
{
    struct srtp_object *self = (struct srtp_object *)object;
    return process(self, packet, self->outbound ? srtp_library.protect_rtcp : srtp_library.unprotect_rtcp);
}

static PyObject *srtp_outbound(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((struct srtp_object *)object)->outbound);
}

static PyMethodDef methods[] = {
    {"rtp", srtp_rtp, METH_O, NULL},
    {"rtcp", srtp_rtcp, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"outbound", srtp_outbound, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject srtp_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "media._native.Srtp",
    .tp_basicsize = sizeof(struct srtp_object),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = srtp_new,
    .tp_dealloc = srtp_dealloc,
    .tp_methods = methods,
    .tp_getset = properties,
};

int add_srtp_type(PyObject *module)
{
    return PyModule_AddType(module, &srtp_type);
}
