/* The module itself: constants, the addresses of libsrtp's functions, and the types of the other files. */
#include "module.h"

#include "batch.h"

static PyObject *python_bind(PyObject *module, PyObject *addresses)
{
    (void)module;
    unsigned long long given[4];
    PyObject *items = PySequence_Fast(addresses, "addresses of four functions");
    if (items == NULL)
        return NULL;
    if (PySequence_Fast_GET_SIZE(items) != 4) {
        Py_DECREF(items);
        return PyErr_Format(PyExc_ValueError, "addresses of four functions");
    }
    for (int i = 0; i < 4; i++) {
        given[i] = PyLong_AsUnsignedLongLong(PySequence_Fast_GET_ITEM(items, i));
        if (given[i] == 0 || PyErr_Occurred() != NULL) {
            Py_DECREF(items);
            return PyErr_Occurred() != NULL ? NULL : PyErr_Format(PyExc_ValueError, "no function at 0");
        }
    }
    Py_DECREF(items);
    srtp_library = (struct srtp_functions){
        (srtp_function)(uintptr_t)given[0],
        (srtp_function)(uintptr_t)given[1],
        (srtp_function)(uintptr_t)given[2],
        (srtp_function)(uintptr_t)given[3],
    };
    Py_RETURN_NONE;
}

static PyObject *python_monotonic_ns(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyLong_FromLongLong(monotonic_ns());
}

static PyMethodDef functions[] = {
    {"bind", python_bind, METH_O, NULL},
    {"monotonic_ns", python_monotonic_ns, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "media._native",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    if (PyModule_AddStringConstant(module, "SOURCES", NATIVE_SOURCES) < 0 || add_srtp_type(module) < 0
        || add_engine_types(module) < 0 || (add_rule_types != NULL && add_rule_types(module) < 0)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
