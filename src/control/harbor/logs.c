/* What was done: the audit. Administrators see all of it, members what was done in their project.
 */
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
    int64_t project_id;
};

static void write_log(struct jw *w, const struct query *q)
{
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_str(w, "username", query_str(q, 1));
    jw_kv_str(w, "resource", query_str(q, 2));
    jw_kv_str(w, "resource_type", kind_of(query_str(q, 2)));
    jw_kv_c(w, "operation", operation_of(query_str(q, 3)));
    jw_kv_time(w, "op_time", query_i64(q, 4));
    jw_end(w);
}

/* ?1 the project, ?2 the user, ?3 a part of the path, ?4 the most that is looked at, ?5 and ?6 the
 * page. An entry has the name of its project: what is older than the project is of another one that
 * had its name. */
#define OF_ALL                                                                                     \
    " FROM (SELECT * FROM audit ORDER BY id DESC LIMIT ?4) WHERE ?1 = 0 AND (?2 IS NULL OR user"   \
    " = ?2) AND instr(path, ?3)"
#define OF_PROJECT                                                                                 \
    " FROM (SELECT a.*, p.created_ms FROM projects p JOIN audit a ON a.project = p.name"           \
    " WHERE p.id = ?1 ORDER BY a.id DESC LIMIT ?4) WHERE at_ms >= created_ms AND status < 400"     \
    " AND (?2 IS NULL OR user = ?2) AND instr(path, ?3)"
#define PAGE " ORDER BY id DESC LIMIT ?5 OFFSET ?6"

static int fill_logs(struct state_db *db, void *ctx, struct err *e)
{
    static const char *const counts[] = {"SELECT count(*)" OF_ALL, "SELECT count(*)" OF_PROJECT};
    static const char *const rows[] = {"SELECT id, user, path, method, at_ms" OF_ALL PAGE,
                                       "SELECT id, user, path, method, at_ms" OF_PROJECT PAGE};
    struct logs *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str user = harbor_list_exact(l, "username"), part = harbor_list_part(l, "resource");
    int which = of->project_id != 0, r;

    if (state_one_i64(db, &l->total, e, "", counts[which], "issi", of->project_id, user, part,
                      (int64_t)LIMIT_LOGS_LOOKED_AT) < 0 ||
        query_open(&q, db, e, rows[which], "issiii", of->project_id, user, part,
                   (int64_t)LIMIT_LOGS_LOOKED_AT, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_log(&l->w, &q);
    }
    return r;
}

static int reply_logs(struct http_req *r, int64_t project_id, struct err *e)
{
    static const char *const keys[] = {"username", "resource", NULL};
    struct logs of = {.project_id = project_id};

    return harbor_list_begin(&of.list, r, keys, e) < 0 ? -1
                                                       : harbor_list_reply(&of.list, fill_logs, e);
}

int harbor_logs(struct http_req *r, struct err *e)
{
    return reply_logs(r, 0, e);
}

int harbor_project_logs(struct http_req *r, struct err *e)
{
    int64_t id;

    return harbor_project_id(r, &id, e) < 0 ? -1 : reply_logs(r, id, e);
}
