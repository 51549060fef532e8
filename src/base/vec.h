/* vec - a typed growing array: struct { T *p; size_t len, cap; } v = {0};
 *   *vec_push(&v) = x;   for (size_t i = 0; i < v.len; i++) v.p[i]   vec_done(&v);
 * Program-sized memory: check a limit before pushing what comes from outside. */
#pragma once
#include "base/mem.h"

#include <stdlib.h>

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *p;                                                                                      \
        size_t len, cap;                                                                           \
    }

#define vec_push(v)                                                                                \
    (((v)->len == (v)->cap                                                                         \
          ? (void)((v)->cap = (v)->cap ? (v)->cap * 2 : 8,                                         \
                   (v)->p = xrealloc((v)->p, (v)->cap * sizeof(__typeof__((v)->p[0]))))            \
          : (void)0),                                                                              \
     &(v)->p[(v)->len++])

#define vec_done(v) (free((v)->p), (v)->p = NULL, (v)->len = (v)->cap = 0)
