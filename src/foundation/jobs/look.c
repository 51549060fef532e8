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
