/* A job as whoever runs it for others sees it: how it is, how it ended, its log. */
#include "jobs/jobs_priv.h"

struct look {
    int64_t project_id;
    struct str id;
    struct arena *arena;
    struct job_row row;
};

static int read_row(struct state_db *db, void *ctx, struct err *e)
{
    struct look *k = ctx;

    return job_store_get(db, k->project_id, k->id, k->arena, &k->row, e);
}

/* A row may still say what was so when the machine went down; whom the engine has seen is there. */
static bool is_up(struct jobs *j, const struct job_row *row)
{
    struct lock *l = &j->lock;
    const struct job *job;

    WITH_LOCK(l);
    job = map_get(&j->by_id, str_of(row->id));
    return row->state == JOB_RUNNING && job && job->phase == PHASE_RUNNING;
}

int jobs_look(struct jobs *j, int64_t project_id, struct str id, struct arena *a,
              struct jobs_look *out, struct err *e)
{
    struct look k = {.project_id = project_id, .id = id, .arena = a};
    const struct job_row *row = &k.row;
    struct err none;
    char container[65];

    if (state_read(j->parts.state, read_row, &k, e) < 0) {
        return -1;
    }
    *out = (struct jobs_look){.state = row->state,
                              .is_finished = job_state_finished(row->state),
                              .is_up = is_up(j, row),
                              .exit_kind = job_exit_kind_name(row->exit_kind),
                              .exit_code = row->exit_code,
                              .memory_bytes = row->memory_bytes,
                              .reason = row->reason,
                              .log_fd = -1};
    job_container_id(row->id, row->attempt, row->tries, container);
    if (j->engine->log_open(j->engine_ctx, container, &out->log_fd, &none) < 0) {
        out->log_fd = -1;
    }
    return 0;
}

void jobs_machine_totals(struct jobs *j, int64_t *cpu_milli, int64_t *memory_bytes)
{
    *cpu_milli = j->machine.cpu_milli; /* constant */
    *memory_bytes = j->machine.memory_bytes;
}
