/* What was done: the audit, for administrators. */
#include "harbor_priv.h"

#include <string.h>

static const char *operation_of(struct str method)
{
    return str_eq_c(method, "POST")     ? "create"
           : str_eq_c(method, "DELETE") ? "delete"
           : str_eq_c(method, "GET")    ? "read"
                                        : "update";
}

/* The word of the path that says what it is about. */
static struct str kind_of(struct str path)
{
    struct str rest = path;

    if (str_starts(path, STR("/v2/"))) {
        return STR("artifact");
    }
    rest = str_starts(path, STR("/api/")) ? str_from(path, strlen("/api/")) : STR_EMPTY;
    (void)str_cut(&rest, '/');
    return str_cut(&rest, '/');
}

struct logs {
    struct list list; /* first: harbor_list_reply hands it over */
    struct str project;
};

static int fill_logs(struct state_db *db, void *ctx, struct err *e)
{
    struct logs *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str user = harbor_list_exact(l, "username"), part = harbor_list_part(l, "resource");
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM audit WHERE (?1 = '' OR project = ?1) AND (?2 IS NULL"
                      " OR user = ?2) AND instr(path, ?3)",
                      "sss", of->project, user, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT id, user, path, method, at_ms FROM audit WHERE (?1 = '' OR project = ?1)"
                   " AND (?2 IS NULL OR user = ?2) AND instr(path, ?3)"
                   " ORDER BY id DESC LIMIT ?4 OFFSET ?5",
                   "sssii", of->project, user, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(&l->w);
        jw_kv_i64(&l->w, "id", query_i64(&q, 0));
        jw_kv_str(&l->w, "username", query_str(&q, 1));
        jw_kv_str(&l->w, "resource", query_str(&q, 2));
        jw_kv_str(&l->w, "resource_type", kind_of(query_str(&q, 2)));
        jw_kv_c(&l->w, "operation", operation_of(query_str(&q, 3)));
        jw_kv_time(&l->w, "op_time", query_i64(&q, 4));
        jw_end(&l->w);
    }
    return r;
}

/* Of all, or of the project of the path. */
int harbor_logs(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"username", "resource", NULL};
    struct logs of = {.project = r->project.len > 0 ? r->project : STR_EMPTY};

    return harbor_list_begin(&of.list, r, keys, e) < 0 ? -1
                                                       : harbor_list_reply(&of.list, fill_logs, e);
}
