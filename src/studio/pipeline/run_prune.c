/* Finished runs that give way: those that ended first go first, by their number and by the bytes of
 * their documents. */
#include "base/limits.h"
#include "base/vec.h"
#include "pipeline/store.h"

#include <string.h>

/* Over an index alone: rows of runs are long. The last one that ended stays, however large. */
#define PAST_RUNS                                                                                  \
    "(SELECT id FROM (SELECT id, row_number() OVER newest AS place, sum(bytes) OVER newest AS"     \
    " kept FROM pipeline_runs WHERE project_id = ?1 AND finished_ms > 0"                           \
    " WINDOW newest AS (ORDER BY finished_ms DESC, id DESC))"                                      \
    " WHERE place > ?2 OR (?3 > 0 AND place > 1 AND kept > ?3))"

static int past_jobs(struct state_db *db, const struct run_prune *p, struct arena *a,
                     struct run_pruned *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    VEC(const char *) found = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT DISTINCT job FROM pipeline_nodes WHERE job IS NOT NULL AND run_id "
                   "IN " PAST_RUNS,
                   "iii", p->project_id, (int64_t)LIMIT_RUNS_KEPT, p->bytes_max) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        *vec_push(&found) = arena_strdup(a, query_str(&q, 0));
    }
    out->jobs = arena_new_array(a, const char *, found.len + 1);
    out->n_jobs = found.len;
    if (found.len > 0) {
        memcpy(out->jobs, found.p, found.len * sizeof(*found.p));
    }
    vec_done(&found);
    return rc;
}

int run_store_prune(struct state_db *db, const struct run_prune *p, struct arena *a,
                    struct run_pruned *out, struct err *e)
{
    if (past_jobs(db, p, a, out, e) < 0 ||
        state_run(db, e, "DELETE FROM pipeline_runs WHERE id IN " PAST_RUNS, "iii", p->project_id,
                  (int64_t)LIMIT_RUNS_KEPT, p->bytes_max) < 0) {
        return -1;
    }
    out->n_runs = state_changes(db);
    return 0;
}
