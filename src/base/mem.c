#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one place that ends the process: without memory for a small struct nothing can go on. */
static void *or_die(void *p, size_t size)
{
    if (p == NULL && size > 0) {
        static const char msg[] = "strata: out of memory\n";
        (void)!write(STDERR_FILENO, msg, sizeof(msg) - 1);
        abort();
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n, size), n * size);
}

void *xrealloc(void *p, size_t size)
{
    return or_die(realloc(p, size), size);
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s), 1);
}

char *xstrndup(const char *s, size_t n)
{
    return or_die(strndup(s, n), 1);
}

char *xasprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&out, fmt, ap) < 0) {
        out = NULL;
    }
    va_end(ap);
    return or_die(out, 1);
}

void freep(void *pointer_to_pointer)
{
    void **p = pointer_to_pointer;

    free(*p);
    *p = NULL;
}

void closep(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}
