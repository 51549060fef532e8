/* Outputs that nobody refers to any more. */
#include "pipeline/runner.h"

#include "base/log.h"
#include "volume/volume.h"

struct orphans {
    int64_t project_id;
    struct arena *arena;
    struct output_row *rows;
    size_t n;
    const struct output_row *one;
};

static int orphans_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct orphans *o = ctx;

    return output_store_orphans(db, o->project_id, o->arena, &o->rows, &o->n, e);
}

static int orphan_gone_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct orphans *o = ctx;

    return output_store_remove(db, o->project_id, o->one->volume, o->one->key, e);
}

void outputs_collect(struct pipelines *s, int64_t project_id)
{
    SCOPED(arena_done) struct arena a = {0};
    struct orphans o = {.project_id = project_id, .arena = &a};
    size_t removed = 0;
    struct err e;

    if (state_read(s->parts.state, orphans_fn, &o, &e) < 0) {
        log_warn("pipeline.collect_failed", "error=%s, with the next run deleted",
                 Q(str_of(e.msg)));
        return;
    }
    for (size_t i = 0; i < o.n; i++) {
        struct volume_ref ref = {project_id, str_of(o.rows[i].volume)};

        o.one = &o.rows[i];
        if (volume_remove(s->parts.volumes, &ref,
                          str_of(arena_printf(&a, STUDIO_DIR "/%s", o.one->key)), &e) < 0 ||
            state_write(s->parts.state, orphan_gone_fn, &o, &e) < 0) {
            log_warn("pipeline.collect_failed", "key=%s error=%s, with the next run deleted",
                     o.one->key, Q(str_of(e.msg)));
            continue;
        }
        removed++;
    }
    if (o.n == OUTPUT_ORPHANS_AT_ONCE && removed > 0) {
        runner_note(s, NOTE_COLLECT, project_id, 0);
    }
}
