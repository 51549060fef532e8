#include "pipeline/store.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/vec.h"
#include "pipeline/pipeline.h"

#include <string.h>

static const char *const steps[] = {
    "CREATE TABLE pipelines("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL, name TEXT NOT NULL,"
    "  version INTEGER NOT NULL, updated_ms INTEGER NOT NULL, updated_by TEXT NOT NULL,"
    "  schedule TEXT, next_ms INTEGER," /* JSON; when it is due */
    "  UNIQUE(project_id, name)) STRICT;"
    "CREATE INDEX pipelines_due ON pipelines(next_ms) WHERE next_ms IS NOT NULL;"
    "CREATE TABLE pipeline_versions("
    "  pipeline_id INTEGER NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,"
    "  version INTEGER NOT NULL, document TEXT NOT NULL, at_ms INTEGER NOT NULL, by TEXT NOT NULL,"
    "  PRIMARY KEY(pipeline_id, version)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE pipeline_modules("
    "  project_id INTEGER NOT NULL, name TEXT NOT NULL, component TEXT NOT NULL,"
    "  updated_ms INTEGER NOT NULL, updated_by TEXT NOT NULL,"
    "  PRIMARY KEY(project_id, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE pipeline_runs("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL, project TEXT NOT NULL,"
    "  pipeline TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,"
    "  params TEXT NOT NULL, by TEXT NOT NULL, to_node TEXT, from_node TEXT,"
    "  state INTEGER NOT NULL, uncached INTEGER NOT NULL, stopping INTEGER NOT NULL DEFAULT 0,"
    "  created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL DEFAULT 0,"
    "  finished_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX pipeline_runs_of ON pipeline_runs(project_id, pipeline, id);"
    "CREATE INDEX pipeline_runs_open ON pipeline_runs(id) WHERE finished_ms = 0;"
    "CREATE TABLE pipeline_nodes("
    "  run_id INTEGER NOT NULL REFERENCES pipeline_runs(id) ON DELETE CASCADE,"
    "  place INTEGER NOT NULL, node TEXT NOT NULL, state INTEGER NOT NULL,"
    "  forced INTEGER NOT NULL, module TEXT NOT NULL, image TEXT, job TEXT, key TEXT, why TEXT, "
    "metrics TEXT,"
    "  outputs TEXT, error TEXT, error_kind TEXT, words TEXT,"
    "  started_ms INTEGER NOT NULL DEFAULT 0, finished_ms INTEGER NOT NULL DEFAULT 0,"
    "  PRIMARY KEY(run_id, place)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX pipeline_nodes_key ON pipeline_nodes(key);"
    "CREATE TABLE pipeline_outputs("
    "  project_id INTEGER NOT NULL, volume TEXT NOT NULL, key TEXT NOT NULL,"
    "  outputs TEXT NOT NULL, metrics TEXT, run_id INTEGER NOT NULL,"
    "  PRIMARY KEY(project_id, volume, key)) STRICT, WITHOUT ROWID;",
    "ALTER TABLE pipeline_runs ADD COLUMN unfused INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE pipeline_runs ADD COLUMN modules TEXT;"      /* as they were when it began */
    "ALTER TABLE pipeline_nodes ADD COLUMN pin TEXT;"         /* of an image, until it is needed */
    "ALTER TABLE pipelines ADD COLUMN schedule_user INTEGER;" /* who set it */
    "ALTER TABLE pipeline_outputs ADD COLUMN words_key TEXT;"
    "UPDATE pipeline_outputs SET words_key = key;"
    "CREATE UNIQUE INDEX pipeline_outputs_words"
    "  ON pipeline_outputs(project_id, volume, words_key) WHERE words_key IS NOT NULL;",
    "ALTER TABLE pipeline_runs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;" /* as it was made */
    "UPDATE pipeline_runs SET bytes = length(CAST(document AS BLOB)) +"
    "  length(CAST(params AS BLOB)) + ifnull(length(CAST(modules AS BLOB)), 0) +"
    "  (SELECT ifnull(sum(length(CAST(pin AS BLOB))), 0) FROM pipeline_nodes WHERE run_id = id);"
    "CREATE INDEX pipeline_runs_bytes ON pipeline_runs(project_id, finished_ms, id, bytes);",
    "ALTER TABLE pipeline_nodes ADD COLUMN warnings TEXT;"
    "ALTER TABLE pipeline_outputs ADD COLUMN warnings TEXT;",
    "ALTER TABLE pipeline_nodes ADD COLUMN again INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE pipeline_nodes ADD COLUMN boot TEXT;",
    NULL,
};

const struct state_schema pipeline_schema = {"pipeline", steps};

static const char *text_of(struct arena *a, const struct query *q, int column)
{
    struct str s = query_str_or_null(q, column);

    return s.p ? arena_strdup(a, s) : NULL;
}

/* --- pipelines --- */

static int check_seen(const struct pipeline_put *p, int64_t there, struct err *e)
{
    if (p->seen == PIPELINE_ANY || p->seen == there) {
        return 0;
    }
    if (p->seen == PIPELINE_NONE) {
        return err_set(e, ERR_CONFLICT, "the project has a pipeline \"%.*s\" already",
                       STR_ARG(p->name));
    }
    return there == 0 ? err_set(e, ERR_CONFLICT, "the pipeline \"%.*s\" is gone", STR_ARG(p->name))
                      : err_set(e, ERR_CONFLICT,
                                "the pipeline is at version %lld by now, and you changed version "
                                "%lld: load it and make your change again",
                                (long long)there, (long long)p->seen);
}

static int make(struct state_db *db, const struct pipeline_put *p, struct err *e)
{
    int64_t n;

    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM pipelines WHERE project_id = ?", "i",
                      p->project_id) < 0) {
        return -1;
    }
    if (n >= LIMIT_PIPELINES) {
        return err_set(e, ERR_LIMIT, "a project has at most %d pipelines: delete one first",
                       LIMIT_PIPELINES);
    }
    return state_run(db, e,
                     "INSERT INTO pipelines(project_id, name, version, updated_ms, updated_by)"
                     " VALUES (?, ?, 0, 0, '')",
                     "is", p->project_id, p->name);
}

/* What is saved runs under the name of whoever set the schedule. */
static int check_schedule(struct state_db *db, int64_t id, const struct pipeline_put *p,
                          struct err *e)
{
    int64_t n = 0;

    if (!p->may_run &&
        state_one_i64(db, &n, e, "",
                      "SELECT count(*) FROM pipelines WHERE id = ? AND schedule IS NOT NULL", "i",
                      id) < 0) {
        return -1;
    }
    return n == 0 ? 0
                  : err_set(e, ERR_FORBIDDEN,
                            "the pipeline runs by the clock, so that whoever changes it needs"
                            " pipeline:run too");
}

/* The newest stays, however large. */
static int drop_old_versions(struct state_db *db, int64_t id, int64_t newest, struct err *e)
{
    return state_run(db, e,
                     "DELETE FROM pipeline_versions WHERE pipeline_id = ?1 AND version < ?2 AND"
                     " (version <= ?2 - ?3 OR version IN (SELECT version FROM (SELECT version,"
                     " sum(length(CAST(document AS BLOB))) OVER (ORDER BY version DESC) AS bytes"
                     " FROM pipeline_versions WHERE pipeline_id = ?1) WHERE bytes > ?4))",
                     "iiii", id, newest, (int64_t)LIMIT_PIPELINE_VERSIONS,
                     (int64_t)LIMIT_PIPELINE_VERSIONS_BYTES);
}

int pipeline_store_put(struct state_db *db, struct pipeline_put *p, struct err *e)
{
    int64_t there = 0, id, same = 0, now = clock_wall_ms();
    struct err none;

    if (access_project_check(db, p->project_id, e) < 0) {
        return -1;
    }
    if (state_one_i64(db, &there, &none, "",
                      "SELECT version FROM pipelines WHERE project_id = ?"
                      " AND name = ?",
                      "is", p->project_id, p->name) < 0) {
        there = 0;
    }
    if (check_seen(p, there, e) < 0 || (there == 0 && make(db, p, e) < 0) ||
        state_one_i64(db, &id, e, "", "SELECT id FROM pipelines WHERE project_id = ? AND name = ?",
                      "is", p->project_id, p->name) < 0) {
        return -1;
    }
    p->is_new = there == 0;
    p->version = there;
    if (state_one_i64(db, &same, e, "",
                      "SELECT count(*) FROM pipeline_versions WHERE pipeline_id = ?"
                      " AND version = ? AND document = ?",
                      "iis", id, there, p->document) < 0 ||
        same > 0) { /* saved again as it is: no version of its own */
        return same > 0 ? 0 : -1;
    }
    p->version = there + 1;
    if (check_schedule(db, id, p, e) < 0 ||
        state_run(db, e,
                  "UPDATE pipelines SET version = ?, updated_ms = ?, updated_by = ?"
                  " WHERE id = ?",
                  "iizi", p->version, now, p->by, id) < 0 ||
        state_run(db, e,
                  "INSERT INTO pipeline_versions(pipeline_id, version, document, at_ms, by)"
                  " VALUES (?, ?, ?, ?, ?)",
                  "iisiz", id, p->version, p->document, now, p->by) < 0) {
        return -1;
    }
    return drop_old_versions(db, id, p->version, e);
}

#define PIPELINE_COLUMNS_WITH(schedule)                                                            \
    "p.id, p.project_id, p.name, p.version, p.updated_ms, p.updated_by, " schedule ", r.id, "      \
    "r.state,"                                                                                     \
    " r.created_ms"
#define PIPELINE_COLUMNS PIPELINE_COLUMNS_WITH("p.schedule")
/* Of many pipelines, only schedules that are short with their params, as with runs. */
#define PIPELINE_LIST_COLUMNS                                                                      \
    PIPELINE_COLUMNS_WITH("iif(length(CAST(p.schedule AS BLOB)) > 4096,"                           \
                          " json_set(p.schedule, '$.params', json('{}')), p.schedule)")
#define PIPELINE_FROM                                                                              \
    " FROM pipelines p LEFT JOIN pipeline_runs r ON r.id = (SELECT max(id) FROM pipeline_runs"     \
    " WHERE project_id = p.project_id AND pipeline = p.name)"

static void read_pipeline(const struct query *q, struct arena *a, struct pipeline_row *out)
{
    *out = (struct pipeline_row){.id = query_i64(q, 0),
                                 .project_id = query_i64(q, 1),
                                 .name = text_of(a, q, 2),
                                 .version = query_i64(q, 3),
                                 .updated_ms = query_i64(q, 4),
                                 .updated_by = text_of(a, q, 5),
                                 .schedule = text_of(a, q, 6),
                                 .last_run = query_i64(q, 7),
                                 .last_state = run_state_name((enum run_state)query_i64(q, 8)),
                                 .last_ms = query_i64(q, 9)};
}

static int read_document(struct state_db *db, struct arena *a, struct pipeline_row *row,
                         int64_t version, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT document, at_ms, by FROM pipeline_versions WHERE pipeline_id = ? AND "
                   "version = ?",
                   "ii", row->id, version) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc <= 0) {
        return rc < 0 ? -1
                      : err_set(e, ERR_NOT_FOUND, "the pipeline \"%s\" has no version %lld",
                                row->name, (long long)version);
    }
    row->version = version;
    row->document = text_of(a, &q, 0);
    row->updated_ms = query_i64(&q, 1);
    row->updated_by = text_of(a, &q, 2);
    return 0;
}

int pipeline_store_get(struct state_db *db, int64_t project_id, struct str name, int64_t version,
                       struct arena *a, struct pipeline_row *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT " PIPELINE_COLUMNS PIPELINE_FROM
                   " WHERE p.project_id = ? AND p.name = ?",
                   "is", project_id, name) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc <= 0) {
        return rc < 0 ? -1
                      : err_set(e, ERR_NOT_FOUND, "the project has no pipeline \"%.*s\"",
                                STR_ARG(str_first(name, 70)));
    }
    read_pipeline(&q, a, out);
    return read_document(db, a, out, version > 0 ? version : out->version, e);
}

int pipeline_store_list(struct state_db *db, int64_t project_id, struct str words, struct str after,
                        int64_t limit, struct arena *a, struct pipeline_row **out, size_t *n,
                        struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *out = arena_new_array(a, struct pipeline_row, (size_t)limit + 1);
    *n = 0;
    if (query_open(&q, db, e,
                   "SELECT " PIPELINE_LIST_COLUMNS PIPELINE_FROM
                   " WHERE p.project_id = ? AND p.name > ? AND has_words(?, p.name, p.updated_by)"
                   " ORDER BY p.name LIMIT ?",
                   "issi", project_id, after.p ? after : STR_EMPTY, words.p ? words : STR_EMPTY,
                   limit) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        read_pipeline(&q, a, &(*out)[(*n)++]);
    }
    return rc;
}

int pipeline_store_delete(struct state_db *db, int64_t project_id, struct str name, struct err *e)
{
    if (state_run(db, e, "DELETE FROM pipelines WHERE project_id = ? AND name = ?", "is",
                  project_id, name) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "the project has no pipeline \"%.*s\"",
                                           STR_ARG(str_first(name, 70)));
}

int pipeline_store_versions(struct state_db *db, int64_t pipeline_id, int64_t before, int64_t limit,
                            struct arena *a, struct pipeline_version **out, size_t *n,
                            struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *out = arena_new_array(a, struct pipeline_version, (size_t)limit + 1);
    *n = 0;
    if (query_open(&q, db, e,
                   "SELECT version, at_ms, by FROM pipeline_versions WHERE pipeline_id = ? AND "
                   "version < ? ORDER BY version DESC LIMIT ?",
                   "iii", pipeline_id, before > 0 ? before : INT64_MAX, limit) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        (*out)[(*n)++] =
            (struct pipeline_version){query_i64(&q, 0), query_i64(&q, 1), text_of(a, &q, 2)};
    }
    return rc;
}

/* --- outputs --- */

int output_store_find(struct state_db *db, int64_t project_id, const char *volume,
                      const char *words_key, struct arena *a, struct output_row *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT key, outputs, metrics, run_id, warnings FROM pipeline_outputs WHERE "
                   "project_id = ?"
                   " AND volume = ? AND words_key = ?",
                   "izz", project_id, volume, words_key) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc > 0) {
        *out = (struct output_row){.volume = volume,
                                   .key = text_of(a, &q, 0),
                                   .words_key = words_key,
                                   .outputs = text_of(a, &q, 1),
                                   .metrics = text_of(a, &q, 2),
                                   .run_id = query_i64(&q, 3),
                                   .warnings = text_of(a, &q, 4)};
    }
    return rc;
}

int output_store_put(struct state_db *db, int64_t project_id, const struct output_row *o,
                     struct err *e)
{
    return state_run(db, e,
                     "UPDATE pipeline_outputs SET words_key = NULL WHERE project_id = ? AND"
                     " volume = ? AND words_key = ?",
                     "izz", project_id, o->volume, o->words_key) < 0
               ? -1
               : state_run(db, e,
                           "INSERT OR REPLACE INTO pipeline_outputs(project_id, volume, key,"
                           " words_key, outputs, metrics, run_id, warnings) VALUES (?, ?, ?, ?, ?, "
                           "?, ?, ?)",
                           "izzzzziz", project_id, o->volume, o->key, o->words_key, o->outputs,
                           o->metrics, o->run_id, o->warnings);
}

int output_store_remove(struct state_db *db, int64_t project_id, const char *volume,
                        const char *key, struct err *e)
{
    return state_run(db, e,
                     "DELETE FROM pipeline_outputs WHERE project_id = ? AND volume = ? AND key = ?",
                     "izz", project_id, volume, key);
}

int output_store_orphans(struct state_db *db, int64_t project_id, struct arena *a,
                         struct output_row **out, size_t *n, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    VEC(struct output_row) rows = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT volume, key FROM pipeline_outputs o WHERE project_id = ? AND NOT EXISTS"
                   " (SELECT 1 FROM pipeline_nodes n WHERE n.key = o.key) LIMIT ?",
                   "ii", project_id, (int64_t)OUTPUT_ORPHANS_AT_ONCE) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        *vec_push(&rows) =
            (struct output_row){.volume = text_of(a, &q, 0), .key = text_of(a, &q, 1)};
    }
    *out = arena_new_array(a, struct output_row, rows.len + 1);
    *n = rows.len;
    if (rows.len > 0) {
        memcpy(*out, rows.p, rows.len * sizeof(*rows.p));
    }
    vec_done(&rows);
    return rc;
}
