/* Rows of the modules that a project brings. */
#include "access/access.h"
#include "base/clock.h"
#include "base/limits.h"
#include "pipeline/store.h"

int module_store_put(struct state_db *db, int64_t project_id, const struct module_row *m,
                     struct err *e)
{
    int64_t n;

    if (access_project_check(db, project_id, e) < 0 ||
        state_one_i64(db, &n, e, "",
                      "SELECT count(*) FROM pipeline_modules WHERE project_id = ? AND name != ?",
                      "iz", project_id, m->name) < 0) {
        return -1;
    }
    if (n >= LIMIT_MODULES) {
        return err_set(e, ERR_LIMIT, "a project has at most %d modules: delete one first",
                       LIMIT_MODULES);
    }
    return state_run(db, e,
                     "INSERT OR REPLACE INTO pipeline_modules(project_id, name, component,"
                     " updated_ms, updated_by) VALUES (?, ?, ?, ?, ?)",
                     "izziz", project_id, m->name, m->component, clock_wall_ms(), m->updated_by);
}

int module_store_delete(struct state_db *db, int64_t project_id, struct str name, struct err *e)
{
    if (state_run(db, e, "DELETE FROM pipeline_modules WHERE project_id = ? AND name = ?", "is",
                  project_id, name) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "the project has no module \"%.*s\" of its own",
                         STR_ARG(str_first(name, 70)));
}

int module_store_list(struct state_db *db, int64_t project_id, struct arena *a,
                      struct module_row **out, size_t *n, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *out = arena_new_array(a, struct module_row, LIMIT_MODULES + 1);
    *n = 0;
    if (query_open(&q, db, e,
                   "SELECT name, component, updated_by, updated_ms FROM pipeline_modules WHERE "
                   "project_id = ? ORDER BY name LIMIT ?",
                   "ii", project_id, (int64_t)LIMIT_MODULES) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        (*out)[(*n)++] = (struct module_row){.name = arena_strdup(a, query_str(&q, 0)),
                                             .component = arena_strdup(a, query_str(&q, 1)),
                                             .updated_by = arena_strdup(a, query_str(&q, 2)),
                                             .updated_ms = query_i64(&q, 3)};
    }
    return rc;
}

int module_store_scheduled(struct state_db *db, int64_t project_id, struct str name,
                           struct arena *a, const char **pipeline, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rc;

    *pipeline = NULL;
    if (query_open(
            &q, db, e,
            "SELECT p.name FROM pipelines p JOIN pipeline_versions v ON v.pipeline_id = p.id"
            " AND v.version = p.version WHERE p.project_id = ? AND p.schedule IS NOT NULL AND"
            " EXISTS (SELECT 1 FROM json_each(v.document, '$.nodes') n"
            " WHERE json_extract(n.value, '$.module') = ?) LIMIT 1",
            "is", project_id, name) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    *pipeline = rc > 0 ? arena_strdup(a, query_str(&q, 0)) : NULL;
    return rc < 0 ? -1 : 0;
}
