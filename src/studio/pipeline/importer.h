/* importer - a few threads that bring what import steps ask for, each into a file of a volume.
 *
 *   node_import.c -> importer_begin -> thread: secret, import_bring (imports.h) -> temporary file
 *   of the volume -> fdatasync -> renamed to its path -> done, `woken` is called
 *
 * A project has four of them at most. Nothing of it is on disk: an import that a restart interrupts
 * is begun anew. Threads: any. */
#pragma once
#include "base/cidr.h"
#include "base/err.h"
#include "base/hash.h"
#include "imports/imports.h"

struct importer;
struct secrets;
struct volume_store;

struct importer_parts {
    struct secrets *secrets;
    struct volume_store *volumes;
    const struct cidr *denied; /* net.outbound_deny, net.import_deny; kept by the caller */
    size_t n_denied;
    void (*woken)(void *ctx);
    void *ctx;
};

struct importer *importer_open(const struct importer_parts *parts, struct err *e) MUST_USE;
void importer_close(struct importer *im); /* what goes on is stopped */

struct importer_job {
    const char *id; /* copied, as all others */
    int64_t project_id;
    const char *volume, *path, *module;
    const struct import_value *values;
    size_t n_values;
};
/* Waits for a thread that is free. */
void importer_begin(struct importer *im, const struct importer_job *j);

enum importer_state { IMPORTER_UNKNOWN, IMPORTER_WAITS, IMPORTER_RUNS, IMPORTER_DONE };
struct importer_look {
    enum importer_state state;
    int64_t bytes, rows; /* rows -1: not known */
    char text[200];      /* for people, while it runs */
    struct err err;      /* done: ERR_NONE when all is there */
    char sha256[SHA256_HEX + 1];
};
void importer_look(struct importer *im, const char *id, struct importer_look *out);
void importer_stop(struct importer *im, const char *id);
/* One that is done is not known any more. */
void importer_forget(struct importer *im, const char *id);
/* All of a project are stopped, and nobody asks for them any more. */
void importer_project_gone(struct importer *im, int64_t project_id);
