/* threads - a pool that runs numbered tasks. Who runs which task is chance, so a task may only
 * write what belongs to its number: then results are the same bytes for any number of threads.
 * Sums over tasks are made afterwards, in the order of their numbers. */
#pragma once
#include "base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

struct threads;

/* CPUs this process may use: affinity, then the cgroup's CPU quota rounded up. At least 1. */
unsigned threads_default(void);

/* n counts the caller. When the system gives fewer threads, there are fewer. */
struct threads *threads_open(unsigned n) MUST_USE;
void threads_close(struct threads *t);
DEFINE_SCOPED(struct threads, threads_close)

unsigned threads_count(const struct threads *t);

/* `worker` < threads_count() is for scratch memory only. */
typedef void (*threads_task)(void *ctx, size_t task, unsigned worker);

/* Runs tasks 0 .. n-1 and returns when all are done. From the owning thread only, never from
 * inside a task. */
void threads_each(struct threads *t, size_t n, threads_task fn, void *ctx);
