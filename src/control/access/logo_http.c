/* /api/v1/projects/{p}/logo: the picture of a project, kept in the state. */
#include "access_http.h"
#include "logo.h"

#include "base/hash.h"
#include "base/limits.h"
#include "state/state.h"

enum { VERSION_BYTES = 8 }; /* of the hash: it tells one picture from another, and proves nothing */

struct logo_op {
    struct arena *arena;
    struct str project, type, body; /* type and body: of a new one, or what there is */
    char version[2 * VERSION_BYTES + 1];
};

static int find_project(struct state_db *db, const struct logo_op *op, int64_t *id, struct err *e)
{
    return access_project_find(db, op->project, id, e);
}

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct logo_op *op = ctx;
    int64_t id;

    return find_project(db, op, &id, e) < 0
               ? -1
               : state_run(db, e,
                           "INSERT INTO project_logos VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                           " type = excluded.type, version = excluded.version,"
                           " body = excluded.body",
                           "iszb", id, op->type, op->version, op->body);
}

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct logo_op *op = ctx;
    int64_t id;

    return find_project(db, op, &id, e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM project_logos WHERE project_id = ?", "i", id);
}

static int get_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct logo_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t id;
    int r;

    if (find_project(db, op, &id, e) < 0 ||
        query_open(&q, db, e, "SELECT type, version, body FROM project_logos WHERE project_id = ?",
                   "i", id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no logo");
    }
    op->type = arena_str(op->arena, query_str(&q, 0));
    (void)!str_copy(query_str(&q, 1), op->version, sizeof(op->version));
    op->body = arena_str(op->arena, query_str(&q, 2));
    return 0;
}

static struct logo_op op_of(struct http_req *r)
{
    return (struct logo_op){.arena = &r->arena, .project = r->project};
}

/* Alone in its address it is a picture and nothing else, whatever its bytes are. */
int access_http_logo(struct http_req *r, struct err *e)
{
    const struct access *a = r->ctx;
    struct logo_op op = op_of(r);
    char etag[sizeof(op.version) + 2];

    if (state_read(a->state, get_fn, &op, e) < 0) {
        return -1;
    }
    (void)snprintf(etag, sizeof(etag), "\"%s\"", op.version);
    http_set_header(r, "ETag", "%s", etag);
    http_set_header(r, "Cache-Control", "private, no-cache");
    http_set_header(r, "Content-Security-Policy", "default-src 'none'; sandbox");
    return http_not_modified(r, etag)
               ? http_reply_empty(r, 304, e)
               : http_reply(r, 200, arena_strdup(&r->arena, op.type), op.body, e);
}

static int changed(struct http_req *r, struct err *e)
{
    access_tell_project(r->ctx,
                        &(struct http_audience){.perm = PERM_PROJECT_READ, .project = r->project},
                        r->project, "changed");
    return http_reply_empty(r, 204, e);
}

int access_http_logo_put(struct http_req *r, struct err *e)
{
    const struct access *a = r->ctx;
    struct logo_op op = op_of(r);
    unsigned char sum[SHA256_BYTES];
    struct logo logo;

    if (http_body_all(r, LIMIT_LOGO_BYTES, &op.body, e) < 0) {
        return e->kind == ERR_LIMIT ? err_set(e, ERR_LIMIT, "a logo has at most %d KiB",
                                              (int)(LIMIT_LOGO_BYTES / KIB))
                                    : -1;
    }
    if (logo_read(op.body, &logo, e) < 0) {
        return -1;
    }
    op.type = str_of(logo.type);
    sha256_of(op.body, sum);
    hex_encode(sum, VERSION_BYTES, op.version);
    return state_write(a->state, put_fn, &op, e) < 0 ? -1 : changed(r, e);
}

int access_http_logo_delete(struct http_req *r, struct err *e)
{
    const struct access *a = r->ctx;
    struct logo_op op = op_of(r);

    return state_write(a->state, drop_fn, &op, e) < 0 ? -1 : changed(r, e);
}
