#include "volume/store.h"

#include "base/mem.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

static const char *const steps[] = {
    "CREATE TABLE volumes ("
    "  id TEXT PRIMARY KEY,"
    "  project_id INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  state INTEGER NOT NULL," /* enum volume_row_state */
    "  id_base INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL,"
    "  files INTEGER NOT NULL DEFAULT 0,"
    "  size_bytes INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE (project_id, name)"
    ") STRICT, WITHOUT ROWID",
    NULL,
};

const struct state_schema volume_schema = {"volume", steps};

#define COLUMNS "id, name, project_id, id_base, created_ms, files, size_bytes"

static void read_row(const struct query *q, struct volume_info *out)
{
    *out = (struct volume_info){
        .project_id = query_i64(q, 2),
        .id_base = (uint32_t)query_i64(q, 3),
        .created_ms = query_i64(q, 4),
        .files = query_i64(q, 5),
        .size_bytes = query_i64(q, 6),
    };
    if (str_copy(query_str(q, 0), out->id, sizeof(out->id)) < 0 ||
        str_copy(query_str(q, 1), out->name, sizeof(out->name)) < 0) {
        out->id[0] = '\0'; /* nothing that we wrote */
    }
}

/* --- one --- */

struct find {
    int64_t project_id;
    struct str name;
    struct volume_info out;
};

/* "volumes here: a, b, c", so that a typing mistake is seen. */
static int not_found(struct state_db *db, const struct find *f, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    struct buf names = BUF_MAX(300);
    int rc, n = 0;

    if (query_open(&q, db, e,
                   "SELECT name FROM volumes WHERE project_id = ? AND state = 1 ORDER BY name "
                   "LIMIT 11",
                   "i", f->project_id) < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0 && n++ < 10) {
        (void)buf_printf(&names, "%s%.*s", n > 1 ? ", " : "", STR_ARG(query_str(&q, 0)));
    }
    if (rc >= 0) {
        err_set(e, ERR_NOT_FOUND, "there is no volume \"%.*s\" in this project; %s%s%s",
                (int)(f->name.len < 64 ? f->name.len : 64), f->name.p,
                n > 0 ? "there are: " : "it has none yet", n > 0 ? buf_str(&names).p : "",
                rc > 0 ? ", ..." : "");
    }
    buf_done(&names);
    return -1;
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct find *f = ctx;
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e,
                   "SELECT " COLUMNS
                   " FROM volumes WHERE project_id = ? AND name = ? AND state = 1",
                   "is", f->project_id, f->name) < 0) {
        return -1;
    }
    rc = query_step(&q, e);
    if (rc > 0) {
        read_row(&q, &f->out);
        return 0;
    }
    query_done(&q);
    return rc < 0 ? -1 : not_found(db, f, e);
}

int volume_row_find(struct volume_store *v, int64_t project_id, struct str name,
                    struct volume_info *out, struct err *e)
{
    struct find f = {.project_id = project_id, .name = name};

    if (state_read(v->state, find_fn, &f, e) < 0) {
        return -1;
    }
    *out = f.out;
    return 0;
}

/* --- many --- */

struct list_ctx {
    int64_t project_id; /* 0: all, and nothing below counts */
    struct str after, q;
    int64_t limit;
    VEC(struct volume_info) rows;
};

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct list_ctx *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int rc;

    rc = l->project_id == 0
             ? query_open(&q, db, e, "SELECT " COLUMNS " FROM volumes WHERE state = 1", "")
             : query_open(&q, db, e,
                          "SELECT " COLUMNS " FROM volumes WHERE project_id = ? AND name > ?"
                          " AND state = 1 AND has_words(?, name) ORDER BY name LIMIT ?",
                          "issi", l->project_id, l->after, l->q, l->limit);
    if (rc < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        read_row(&q, vec_push(&l->rows));
    }
    return rc;
}

static int list_rows(struct volume_store *v, struct list_ctx *l, struct volume_info **out,
                     size_t *n, struct err *e)
{
    if (state_read(v->state, list_fn, l, e) < 0) {
        vec_done(&l->rows);
        return -1;
    }
    *out = l->rows.p;
    *n = l->rows.len;
    return 0;
}

int volume_row_list(struct volume_store *v, int64_t project_id, struct str q, struct str after,
                    int64_t limit, struct volume_info **out, size_t *n, struct err *e)
{
    struct list_ctx l = {.project_id = project_id, .q = q, .after = after, .limit = limit};

    return list_rows(v, &l, out, n, e);
}

int volume_row_all(struct volume_store *v, struct volume_info **out, size_t *n, struct err *e)
{
    struct list_ctx l = {.project_id = 0};

    return list_rows(v, &l, out, n, e);
}

struct search {
    const char *projects;
    struct str words;
    int64_t limit;
    volume_each *each;
    void *ctx;
};

#define FOUND(where)                                                                               \
    "SELECT project_id, name FROM volumes WHERE state = 1 AND " where "has_words(?1, name)"        \
    " ORDER BY length(name), name LIMIT ?2"

static int search_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct search *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int rc = s->projects ? query_open(&q, db, e,
                                      FOUND("project_id IN (SELECT value FROM json_each(?3)) AND "),
                                      "siz", s->words, s->limit, s->projects)
                         : query_open(&q, db, e, FOUND(""), "si", s->words, s->limit);

    if (rc < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        s->each(s->ctx, query_i64(&q, 0), query_str(&q, 1));
    }
    return rc;
}

int volume_search(struct volume_store *v, const char *projects, struct str words, int64_t limit,
                  volume_each *each, void *ctx, struct err *e)
{
    struct search s = {projects, words, limit, each, ctx};

    return state_read(v->state, search_fn, &s, e);
}

static int leftovers_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct volume_store *v = ctx;
    SCOPED(query_done) struct query q = {0};
    int rc;

    if (query_open(&q, db, e, "SELECT id FROM volumes WHERE state <> 1", "") < 0) {
        return -1;
    }
    while ((rc = query_step(&q, e)) > 0) {
        struct volume_id one;

        if (str_copy(query_str(&q, 0), one.id, sizeof(one.id)) == 0) {
            *vec_push(&v->leftovers) = one;
        }
    }
    return rc;
}

int volume_row_leftovers(struct volume_store *v, struct err *e)
{
    return state_read(v->state, leftovers_fn, v, e);
}

/* --- changes --- */

static int insert_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct volume_info *i = ctx;

    if (state_run(db, e,
                  "INSERT INTO volumes (id, project_id, name, state, id_base, created_ms) "
                  "VALUES (?, ?, ?, 0, ?, ?)",
                  "zizii", i->id, i->project_id, i->name, (int64_t)i->id_base,
                  i->created_ms) == 0) {
        return 0;
    }
    return e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT,
                         "the project has a volume \"%s\" already (or it is being deleted)",
                         i->name)
               : -1;
}

int volume_row_insert(struct volume_store *v, const struct volume_info *i, struct err *e)
{
    struct volume_info copy = *i;

    return state_write(v->state, insert_fn, &copy, e);
}

struct change {
    const struct volume_info *info;
    enum volume_row_state state;
};

static int set_state_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct change *c = ctx;

    if (state_run(db, e, "UPDATE volumes SET state = ?1 WHERE id = ?2 AND state <> ?1", "iz",
                  (int64_t)c->state, c->info->id) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "the volume \"%s\" has just been deleted",
                         c->info->name);
}

int volume_row_set_state(struct volume_store *v, const struct volume_info *i,
                         enum volume_row_state state, struct err *e)
{
    struct change c = {i, state};

    return state_write(v->state, set_state_fn, &c, e);
}

static int remove_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_run(db, e, "DELETE FROM volumes WHERE id = ?", "z", (const char *)ctx);
}

int volume_row_remove(struct volume_store *v, const char *id, struct err *e)
{
    return state_write(v->state, remove_fn, (void *)id, e);
}

struct usage_change {
    char id[65];
    int64_t files, size_bytes;
};

static int usage_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct usage_change *u = ctx;

    return state_run(db, e, "UPDATE volumes SET files = ?, size_bytes = ? WHERE id = ?", "iiz",
                     u->files, u->size_bytes, u->id);
}

static void usage_done(void *ctx, const struct err *e UNUSED)
{
    free(ctx);
}

void volume_row_save_usage(struct volume_store *v, const char *id, int64_t files,
                           int64_t size_bytes)
{
    struct usage_change *u = xnew(struct usage_change);

    (void)!str_copy(str_of(id), u->id, sizeof(u->id));
    u->files = files;
    u->size_bytes = size_bytes;
    state_submit(v->state, usage_fn, u, usage_done);
}
