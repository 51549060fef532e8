/* What was done: the audit, for administrators, and what collection freed. */
#include "harbor_priv.h"

#include <string.h>

/* --- audit --- */

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

/* --- garbage collection: it runs always, and an hour in which it freed something is one run --- */

enum { HOUR_MS = 3600 * 1000 };

static void write_schedule(struct jw *w)
{
    jw_key(w, "schedule");
    jw_object(w);
    jw_kv_c(w, "type", "Hourly");
    jw_kv_c(w, "cron", "0 0 * * * *");
    jw_end(w);
}

static void write_run(struct jw *w, const struct query *q)
{
    int64_t hour = query_i64(q, 0);

    jw_object(w);
    jw_kv_i64(w, "id", hour / HOUR_MS);
    jw_kv_c(w, "job_name", "GARBAGE_COLLECTION");
    jw_kv_c(w, "job_kind", "SCHEDULE");
    write_schedule(w);
    jw_kv_c(w, "job_status", "Success");
    jw_kv_bool(w, "deleted", false);
    jw_kv_time(w, "creation_time", hour);
    jw_kv_time(w, "update_time", hour);
    jw_end(w);
}

static int fill_collections(struct state_db *db, void *ctx, struct err *e)
{
    struct list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*) FROM registry_freed", "") < 0 ||
        query_open(&q, db, e,
                   "SELECT hour_ms FROM registry_freed ORDER BY hour_ms DESC LIMIT ? OFFSET ?",
                   "ii", l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        write_run(&l->w, &q);
    }
    return r;
}

int harbor_collections(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct list l;

    return harbor_list_begin(&l, r, keys, e) < 0 ? -1 : harbor_list_reply(&l, fill_collections, e);
}

struct one {
    int64_t id, blobs, bytes;
    struct jw *w;
};

static int collection_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT hour_ms, blobs, bytes FROM registry_freed WHERE hour_ms = ?",
                   "i", o->id > INT64_MAX / HOUR_MS ? -1 : o->id * HOUR_MS) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "there is no collection of that id");
    }
    o->blobs = query_i64(&q, 1);
    o->bytes = query_i64(&q, 2);
    write_run(o->w, &q);
    return 0;
}

static int collection_of(struct http_req *r, struct one *o, struct err *e)
{
    const struct harbor *h = r->ctx;

    return harbor_path_id(r, "id", &o->id, e) < 0 ? -1 : state_read(h->state, collection_fn, o, e);
}

int harbor_collection(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return harbor_reply_and_free(r, 200, &b, collection_of(r, &o, e), e);
}

int harbor_collection_log(struct http_req *r, struct err *e)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct one o = {.w = &w};

    return collection_of(r, &o, e) < 0
               ? -1
               : http_reply(r, 200, "text/plain; charset=utf-8",
                            str_of(arena_printf(&r->arena, "%lld blobs, %lld bytes freed\n",
                                                (long long)o.blobs, (long long)o.bytes)),
                            e);
}

int harbor_collection_schedule(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_kv_i64(&w, "id", 1);
    jw_kv_c(&w, "job_name", "GARBAGE_COLLECTION");
    write_schedule(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
