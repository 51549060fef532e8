/* importer, inside: a task, and one try of it (importer_try.c) on the thread that took it. */
#pragma once
#include "pipeline/importer.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/map.h"
#include "volume/volume.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IMPORTER_THREADS = 16, IMPORTER_PROJECT_THREADS = 4 };

struct task {
    struct list link; /* importer.tasks */
    struct importer *im;
    char *id, *volume, *path, *module;
    struct import_value *values; /* texts are owned */
    size_t n_values;
    int64_t project_id;
    atomic_bool stop;
    /* guarded by importer.lock */
    struct importer_look look;
    bool is_nobodys; /* its project is gone: the thread frees it */
    /* of its thread, anew for each try */
    struct volume_new file;
    struct sha256 hash;
    int64_t written;
};

struct importer {
    struct importer_parts parts;
    struct lock lock;               /* its condition: a task waits, or all ends */
    struct list tasks;              /* guarded by lock, in the order they came */
    struct map by_id;               /* the same; guarded by lock */
    int64_t busy[IMPORTER_THREADS]; /* the projects that they work for, 0: none; guarded by lock */
    atomic_bool stopping;
    pthread_t threads[IMPORTER_THREADS];
    size_t n_threads;
};

/* Its value of a parameter, or "". */
const char *task_value(const struct task *t, const char *name);
/* The importer's lock is not needed: `stop` is atomic. */
bool task_must_stop(void *task);
/* All of it once: a temporary file of the volume, filled, hashed, kept. `hex` gets its SHA-256. */
int task_try(struct task *t, char hex[SHA256_HEX + 1], struct err *e) MUST_USE;
