/* mem - program-sized memory. Dies with a message when there is none left, so callers need no
 * check. Never give it a length from outside without a limit check first. */
#pragma once
#include "base/attrs.h"

void *xcalloc(size_t n, size_t size) MUST_USE;
void *xrealloc(void *p, size_t size) MUST_USE;
char *xstrdup(const char *s) MUST_USE;
char *xstrndup(const char *s, size_t n) MUST_USE;
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) MUST_USE;

/* A zeroed T, for free(3) or its own destructor. */
#define xnew(T) ((T *)xcalloc(1, sizeof(T)))
#define xnew_array(T, n) ((T *)xcalloc((n), sizeof(T)))

/* SCOPED(freep) char *s; SCOPED(closep) int fd = -1; */
void freep(void *pointer_to_pointer);
void closep(int *fd);
