/* Rows of runs and of their nodes. */
#include "access/access.h"
#include "base/limits.h"
#include "base/vec.h"
#include "pipeline/store.h"

#include <string.h>

static const char *const run_states[RUN_STATES] = {"queued", "running", "succeeded", "failed",
                                                   "cancelled"};
static const char *const node_states[NODE_STATES] = {"waiting",   "cached", "queued",  "running",
                                                     "succeeded", "failed", "skipped", "cancelled"};

const char *run_state_name(enum run_state s)
{
    return run_states[s];
}

int run_state_parse(struct str text, enum run_state *out, struct err *e)
{
    for (int i = 0; i < RUN_STATES; i++) {
        if (str_eq_c(text, run_states[i])) {
            *out = (enum run_state)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "'%.*s' is no state of a run: queued, running, succeeded, failed or cancelled",
                   STR_ARG(str_first(text, 40)));
}

const char *node_state_name(enum node_state s)
{
    return node_states[s];
}

bool node_state_ended(enum node_state s)
{
    return s != NODE_WAITING && s != NODE_QUEUED && s != NODE_RUNNING;
}

bool node_state_good(enum node_state s)
{
    return s == NODE_SUCCEEDED || s == NODE_CACHED;
}

static const char *text_of(struct arena *a, const struct query *q, int column)
{
    struct str s = query_str_or_null(q, column);

    return s.p ? arena_strdup(a, s) : NULL;
}

/* --- runs --- */

int run_store_check_room(struct state_db *db, int64_t project_id, struct err *e)
{
    int64_t all, own;

    if (state_one_i64(db, &all, e, "", "SELECT count(*) FROM pipeline_runs WHERE finished_ms = 0",
                      "") < 0 ||
        state_one_i64(db, &own, e, "",
                      "SELECT count(*) FROM pipeline_runs WHERE finished_ms = 0 AND project_id = ?",
                      "i", project_id) < 0) {
        return -1;
    }
    if (own >= LIMIT_RUNS_ACTIVE_PROJECT) {
        return err_set(e, ERR_THROTTLED,
                       "%d runs of the project go on already: start again when some are done",
                       LIMIT_RUNS_ACTIVE_PROJECT);
    }
    return all < LIMIT_RUNS_ACTIVE
               ? 0
               : err_set(e, ERR_THROTTLED, "%d runs go on already: start again when some are done",
                         LIMIT_RUNS_ACTIVE);
}

/* What it keeps of its own: retention counts it. */
static int64_t bytes_of(const struct run_row *run, const struct node_row *nodes, size_t n)
{
    size_t bytes =
        strlen(run->document) + strlen(run->params) + (run->modules ? strlen(run->modules) : 0);

    for (size_t i = 0; i < n; i++) {
        bytes += nodes[i].pin ? strlen(nodes[i].pin) : 0;
    }
    return (int64_t)bytes;
}

int run_store_insert(struct state_db *db, struct run_row *run, const struct node_row *nodes,
                     size_t n, struct err *e)
{
    if (access_project_check(db, run->project_id, e) < 0 ||
        run_store_check_room(db, run->project_id, e) < 0 ||
        state_run(db, e,
                  "INSERT INTO pipeline_runs(project_id, project, pipeline, version, document,"
                  " params, by, to_node, from_node, state, uncached, created_ms,"
                  " unfused, modules, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "izzizzzzziiiizi", run->project_id, run->project, run->pipeline, run->version,
                  run->document, run->params, run->by, run->to, run->from, (int64_t)run->state,
                  (int64_t)run->is_uncached, run->created_ms, (int64_t)run->is_unfused,
                  run->modules, bytes_of(run, nodes, n)) < 0) {
        return -1;
    }
    run->id = state_last_id(db);
    for (size_t i = 0; i < n; i++) {
        if (state_run(
                db, e,
                "INSERT INTO pipeline_nodes(run_id, place, node, state, forced, module, image, pin)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                "iiziizzz", run->id, (int64_t)i, nodes[i].node, (int64_t)nodes[i].state,
                (int64_t)nodes[i].is_forced, nodes[i].module, nodes[i].image, nodes[i].pin) < 0) {
            return -1;
        }
    }
    return 0;
}

#define RUN_COLUMNS_WITH(params)                                                                   \
    "id, project_id, project, pipeline, version, " params ", by, to_node, from_node, state,"       \
    " uncached, stopping, created_ms, started_ms, finished_ms, unfused"
#define RUN_COLUMNS RUN_COLUMNS_WITH("params")
/* Of many runs, only params that are short: none otherwise. */
#define RUN_LIST_COLUMNS RUN_COLUMNS_WITH("iif(length(CAST(params AS BLOB)) > 4096, '{}', params)")

static void read_run(const struct query *q, struct arena *a, struct run_row *out)
{
    *out = (struct run_row){.id = query_i64(q, 0),
                            .project_id = query_i64(q, 1),
                            .project = text_of(a, q, 2),
                            .pipeline = text_of(a, q, 3),
                            .version = query_i64(q, 4),
                            .params = text_of(a, q, 5),
                            .by = text_of(a, q, 6),
                            .to = text_of(a, q, 7),
                            .from = text_of(a, q, 8),
                            .state = (enum run_state)query_i64(q, 9),
                            .is_uncached = query_i64(q, 10) != 0,
                            .is_stopping = query_i64(q, 11) != 0,
                            .created_ms = query_i64(q, 12),
                            .started_ms = query_i64(q, 13),
                            .finished_ms = query_i64(q, 14),
                            .is_unfused = query_i64(q, 15) != 0};
}

int run_store_get(struct state_db *db, int64_t project_id, int64_t id, struct arena *a,
                  struct run_row *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT " RUN_COLUMNS ", document, modules FROM pipeline_runs WHERE id = ? AND "
                   "project_id = ?",
                   "ii", id, project_id) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc <= 0) {
        return rc < 0 ? -1
                      : err_set(e, ERR_NOT_FOUND, "the project has no run %lld", (long long)id);
    }
    read_run(&q, a, out);
    out->document = text_of(a, &q, 16);
    out->modules = text_of(a, &q, 17);
    return 0;
}

static void states_text(unsigned states, char out[2 * RUN_STATES + 4])
{
    size_t n = 0;

    out[n++] = '[';
    for (int i = 0; i < RUN_STATES; i++) {
        if (states == 0 || (states >> i & 1)) {
            out[n] = (char)('0' + i);
            n++;
            out[n++] = ',';
        }
    }
    out[n - 1] = ']';
    out[n] = '\0';
}

int run_store_list(struct state_db *db, const struct run_filter *f, int64_t limit, struct arena *a,
                   struct run_row **out, size_t *n, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    char states[2 * RUN_STATES + 4];
    int rc;

    states_text(f->states, states);
    *out = arena_new_array(a, struct run_row, (size_t)limit + 1);
    *n = 0;
    if (query_open(&q, db, e,
                   "SELECT " RUN_LIST_COLUMNS
                   " FROM pipeline_runs WHERE project_id = ?1 AND id < ?2"
                   " AND (?3 = '' OR pipeline = ?3) AND state IN (SELECT value FROM json_each(?4))"
                   " AND has_words(?5, pipeline, by, params) ORDER BY id DESC LIMIT ?6",
                   "iiszsi", f->project_id, f->before > 0 ? f->before : INT64_MAX,
                   f->pipeline.p ? f->pipeline : STR_EMPTY, states,
                   f->words.p ? f->words : STR_EMPTY, limit) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        read_run(&q, a, &(*out)[(*n)++]);
    }
    return rc;
}

int run_store_unfinished(struct state_db *db, struct arena *a, struct run_row **out, size_t *n,
                         struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    VEC(struct run_row) rows = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT id, project_id FROM pipeline_runs WHERE finished_ms = 0 ORDER BY id",
                   "") < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        *vec_push(&rows) = (struct run_row){.id = query_i64(&q, 0), .project_id = query_i64(&q, 1)};
    }
    *out = arena_new_array(a, struct run_row, rows.len + 1);
    *n = rows.len;
    if (rows.len > 0) {
        memcpy(*out, rows.p, rows.len * sizeof(*rows.p));
    }
    vec_done(&rows);
    return rc;
}

int run_store_set(struct state_db *db, const struct run_row *run, struct err *e)
{
    return state_run(db, e,
                     "UPDATE pipeline_runs SET state = ?, started_ms = ?, finished_ms = ?, stopping"
                     " = max(stopping, ?) WHERE id = ?",
                     "iiiii", (int64_t)run->state, run->started_ms, run->finished_ms,
                     (int64_t)run->is_stopping, run->id);
}

int run_store_delete(struct state_db *db, int64_t run_id, struct err *e)
{
    return state_run(db, e, "DELETE FROM pipeline_runs WHERE id = ?", "i", run_id);
}

/* --- nodes --- */

#define NODE_COLUMNS                                                                               \
    "node, state, forced, module, job, key, why, metrics, outputs, error, error_kind, words,"      \
    " started_ms, finished_ms, image, warnings, again, boot"

enum { NODE_COLUMNS_N = 18 };

static void read_node(const struct query *q, struct arena *a, struct node_row *out)
{
    *out = (struct node_row){.node = text_of(a, q, 0),
                             .state = (enum node_state)query_i64(q, 1),
                             .is_forced = query_i64(q, 2) != 0,
                             .module = text_of(a, q, 3),
                             .job = text_of(a, q, 4),
                             .key = text_of(a, q, 5),
                             .why = text_of(a, q, 6),
                             .metrics = text_of(a, q, 7),
                             .outputs = text_of(a, q, 8),
                             .error = text_of(a, q, 9),
                             .error_kind = text_of(a, q, 10),
                             .words = text_of(a, q, 11),
                             .started_ms = query_i64(q, 12),
                             .finished_ms = query_i64(q, 13),
                             .image = text_of(a, q, 14),
                             .warnings = text_of(a, q, 15),
                             .n_again = query_i64(q, 16),
                             .boot = text_of(a, q, 17)};
}

int run_store_nodes(struct state_db *db, int64_t run_id, struct arena *a, struct node_row **out,
                    size_t *n, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *out = arena_new_array(a, struct node_row, LIMIT_PIPELINE_NODES + 1);
    *n = 0;
    if (query_open(&q, db, e,
                   "SELECT " NODE_COLUMNS " FROM pipeline_nodes WHERE run_id = ? ORDER BY place "
                   "LIMIT ?",
                   "ii", run_id, (int64_t)LIMIT_PIPELINE_NODES) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        read_node(&q, a, &(*out)[(*n)++]);
    }
    return rc;
}

int run_store_set_node(struct state_db *db, int64_t run_id, const struct node_row *n, struct err *e)
{
    return state_run(
        db, e,
        "UPDATE pipeline_nodes SET state = ?, job = ?, key = ?, why = ?, metrics = ?,"
        " outputs = ?, error = ?, error_kind = ?, words = ?, started_ms = ?,"
        " finished_ms = ?, warnings = ?, again = ?, boot = ? WHERE run_id = ? AND node = ?",
        "izzzzzzzziiziziz", (int64_t)n->state, n->job, n->key, n->why, n->metrics, n->outputs,
        n->error, n->error_kind, n->words, n->started_ms, n->finished_ms, n->warnings, n->n_again,
        n->boot, run_id, n->node);
}

int run_store_pin(struct state_db *db, int64_t run_id, const char *node, struct arena *a,
                  const char **pin, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *pin = NULL;
    if (query_open(&q, db, e, "SELECT pin FROM pipeline_nodes WHERE run_id = ? AND node = ?", "iz",
                   run_id, node) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    *pin = rc > 0 ? text_of(a, &q, 0) : NULL;
    return rc < 0 ? -1 : 0;
}

int run_store_held_blobs(struct state_db *db, void (*each)(void *ctx, const char *digest),
                         void *ctx, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT DISTINCT json_extract(l.value, '$[0]') FROM pipeline_runs r"
                   " JOIN pipeline_nodes n ON n.run_id = r.id, json_each(n.pin, '$.layers') l"
                   " WHERE r.finished_ms = 0 AND n.pin IS NOT NULL AND n.state IN (?, ?)",
                   "ii", (int64_t)NODE_WAITING, (int64_t)NODE_QUEUED) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        char digest[136];

        if (str_copy(query_str(&q, 0), digest, sizeof(digest)) == 0) {
            each(ctx, digest);
        }
    }
    return rc;
}

int run_store_last(struct state_db *db, const struct run_row *run, const char *node,
                   struct arena *a, struct node_row *out, int64_t *run_id, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *run_id = 0;
    if (query_open(&q, db, e,
                   "SELECT " NODE_COLUMNS
                   ", run_id FROM pipeline_nodes WHERE node = ?1 AND words IS"
                   " NOT NULL AND run_id IN (SELECT id FROM pipeline_runs WHERE project_id = ?2 AND"
                   " pipeline = ?3 AND id < ?4 ORDER BY id DESC LIMIT 20) ORDER BY run_id DESC"
                   " LIMIT 1",
                   "zizi", node, run->project_id, run->pipeline, run->id) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc > 0) {
        read_node(&q, a, out);
        *run_id = query_i64(&q, NODE_COLUMNS_N);
    }
    return rc < 0 ? -1 : 0;
}
