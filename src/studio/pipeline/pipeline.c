#include "pipeline/pipeline_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "pipeline/importer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct cfg_item pipeline_config[] = {
    {"pipeline.run_documents", CFG_BYTES, "1Gi",
     "Bytes that finished runs of a project keep of their own (documents, modules, descriptions of "
     "images): past them the runs that ended first go, with logs and outputs that no other run "
     "has. 0: no limit."},
    {0},
};

struct unfinished {
    struct arena arena;
    struct run_row *rows;
    size_t n;
};

static int unfinished_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct unfinished *u = ctx;

    return run_store_unfinished(db, &u->arena, &u->rows, &u->n, e);
}

/* The runner loads each by itself. */
static int note_unfinished(struct pipelines *s, struct err *e)
{
    struct unfinished u = {0};
    int rc = state_read(s->parts.state, unfinished_fn, &u, e);

    for (size_t i = 0; rc == 0 && i < u.n; i++) {
        *vec_push(&s->inbox) = (struct note){NOTE_RUN, u.rows[i].project_id, u.rows[i].id};
    }
    arena_done(&u.arena);
    return rc;
}

static int make_image(struct pipelines *s, struct err *e)
{
    int rc;

    if (s->parts.program_fd < 0) {
        log_warn("pipeline.no_program",
                 "strata-ml is not beside the program strata: pipelines do not run");
        return 0;
    }
    rc = step_image_make(s->parts.content, s->parts.program_fd, &s->image, e);
    s->image.image.layers = &s->image.layer;
    s->has_image = rc == 0;
    (void)close(s->parts.program_fd);
    return rc;
}

static void import_woken(void *ctx)
{
    pipelines_on_job(ctx);
}

struct pipelines *pipelines_open(const struct pipeline_parts *parts, struct err *e)
{
    SCOPED(pipelines_closep) struct pipelines *s = xnew(struct pipelines);

    s->parts = *parts;
    lock_init(&s->lock, LOCK_pipelines);
    list_init(&s->runs);
    list_init(&s->followers);
    list_init(&s->hashes);
    s->importer = importer_open(&(struct importer_parts){.secrets = parts->secrets,
                                                         .volumes = parts->volumes,
                                                         .denied = parts->denied,
                                                         .n_denied = parts->n_denied,
                                                         .woken = import_woken,
                                                         .ctx = s},
                                e);
    if (s->importer == NULL || clock_boot_id(s->boot, e) < 0 || make_image(s, e) < 0 ||
        note_unfinished(s, e) < 0) {
        return NULL;
    }
    s->hasher_runs = pthread_create(&s->hasher, NULL, hashes_main, s) == 0;
    if (!s->hasher_runs || pthread_create(&s->runner, NULL, runner_main, s) != 0) {
        err_set(e, ERR_INTERNAL, "no thread for pipelines");
        return NULL;
    }
    s->runner_runs = true;
    return TAKE(s);
}

void pipelines_close(struct pipelines *s)
{
    if (s == NULL) {
        return;
    }
    lock_take(&s->lock);
    s->stopping = true;
    lock_broadcast(&s->lock);
    lock_drop(&s->lock);
    if (s->runner_runs) {
        (void)pthread_join(s->runner, NULL);
    }
    if (s->hasher_runs) {
        (void)pthread_join(s->hasher, NULL);
    }
    hashes_done(s);
    importer_close(s->importer);
    vec_done(&s->inbox);
    lock_done(&s->lock);
    free(s);
}

struct held_blobs {
    void (*each)(void *ctx, const char *digest);
    void *ctx;
};

static int held_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct held_blobs *h = ctx;

    return run_store_held_blobs(db, h->each, h->ctx, e);
}

int pipelines_held_blobs(struct pipelines *s, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e)
{
    if (s == NULL) {
        return 0;
    }
    if (s->has_image) {
        each(ctx, s->image.layer.digest);
    }
    return state_read(s->parts.state, held_fn, &(struct held_blobs){each, ctx}, e);
}

static int gone_fn(struct state_db *db, void *ctx, struct err *e)
{
    const int64_t *project_id = ctx;
    static const char *const sql[] = {"DELETE FROM pipelines WHERE project_id = ?",
                                      "DELETE FROM pipeline_modules WHERE project_id = ?",
                                      "DELETE FROM pipeline_runs WHERE project_id = ?",
                                      "DELETE FROM pipeline_outputs WHERE project_id = ?"};

    for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
        if (state_run(db, e, sql[i], "i", *project_id) < 0) {
            return -1;
        }
    }
    return 0;
}

int pipelines_project_gone(struct pipelines *s, int64_t project_id, struct err *e)
{
    if (state_write(s->parts.state, gone_fn, &project_id, e) < 0) {
        return -1;
    }
    runner_note(s, NOTE_GONE, project_id, 0);
    importer_project_gone(s->importer, project_id);
    return 0;
}
