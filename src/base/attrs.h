/* attrs - the compiler attributes our style is built on. */
#pragma once
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define UNUSED __attribute__((unused))

/* Runs `fn(&variable)` when the variable leaves its scope, on every path. */
#define SCOPED(fn) __attribute__((cleanup(fn)))

/* Hands the ownership in `p` on: yields its value and leaves NULL behind. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })

/* Hands a descriptor on: yields it and leaves -1 behind. */
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_fd_ = (fd);                                                                       \
        (fd) = -1;                                                                                 \
        take_fd_;                                                                                  \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Defines `name`p(T **) for SCOPED from the destructor `name`(T *). */
#define DEFINE_SCOPED(T, name)                                                                     \
    static inline void name##p(T **p)                                                              \
    {                                                                                              \
        name(*p);                                                                                  \
        *p = NULL;                                                                                 \
    }
