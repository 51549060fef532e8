/* Garbage collection: it runs always, and an hour in which it freed something, or was asked to, is
 * one run. */
#include "harbor_priv.h"

#include "registry/registry.h"

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

/* --- when it runs --- */

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

/* What collection here cannot be told to do. */
static int check_parameters(const json_t *p, struct err *e)
{
    bool untagged = false, dry = false;

    if (json_get_bool(p, "delete_untagged", &untagged, e) < 0 ||
        json_get_bool(p, "dry_run", &dry, e) < 0) {
        return err_wrap(e, "parameters");
    }
    if (untagged) {
        return err_set(e, ERR_INVALID,
                       "parameters.delete_untagged: collection deletes no images here; a retention "
                       "of the project does");
    }
    return dry ? err_set(e, ERR_INVALID, "parameters.dry_run: collection cannot be tried here") : 0;
}

enum asked { ASKED_NOW, ASKED_AS_IT_IS };

static int read_schedule(const json_t *body, enum asked *out, struct err *e)
{
    const json_t *schedule = json_object_get(body, "schedule");
    const json_t *parameters = json_object_get(body, "parameters");
    struct str type = STR_EMPTY;

    if (!json_is_object(schedule) || json_need_str(schedule, "type", &type, e) < 0) {
        return err_set(e, ERR_INVALID, "give {\"schedule\": {\"type\": \"Manual\"}}");
    }
    if (json_is_object(parameters) && check_parameters(parameters, e) < 0) {
        return -1;
    }
    *out = str_eq_c(type, "Manual") ? ASKED_NOW : ASKED_AS_IT_IS;
    return *out == ASKED_NOW || str_eq_c(type, "Hourly")
               ? 0
               : err_set(e, ERR_INVALID,
                         "schedule.type: collection runs always here; give Manual to have it run "
                         "now, or Hourly");
}

static int follow(struct http_req *r, int64_t *id, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct collected c;
    enum asked asked;

    if (http_body_json(r, &body, e) < 0 || read_schedule(body, &asked, e) < 0) {
        return -1;
    }
    *id = 1;
    if (asked == ASKED_NOW) {
        if (registry_collect_now(h->registry, &c, e) < 0) {
            return -1;
        }
        *id = c.hour_ms / HOUR_MS;
    }
    return 0;
}

int harbor_collection_start(struct http_req *r, struct err *e)
{
    int64_t id;

    return follow(r, &id, e) < 0 ? -1 : harbor_reply_created(r, "/system/gc", id, e);
}

int harbor_collection_change(struct http_req *r, struct err *e)
{
    int64_t id;

    return follow(r, &id, e) < 0 ? -1 : http_reply_empty(r, 200, e);
}
