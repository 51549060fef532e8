/* The public keys that a project trusts. */
#include "supply_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "registry/names.h"

struct key_op {
    int64_t project_id;
    struct str name, pem, by, q;
    const char *algorithm;
    char fingerprint[65];
    struct arena *arena;
    struct trust_keys *keys;
    struct jw *w;
};

static int read_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct key_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name, pem FROM supply_keys WHERE project_id = ? ORDER BY name", "i",
                   op->project_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0 && op->keys->n < LIMIT_TRUST_KEYS) {
        op->keys->items[op->keys->n++] = (struct trust_key){arena_str(op->arena, query_str(&q, 0)),
                                                            arena_str(op->arena, query_str(&q, 1))};
    }
    return r < 0 ? -1 : 0;
}

int keys_read(struct supply *s, struct arena *a, int64_t project_id, struct trust_keys *out,
              struct err *e)
{
    struct key_op op = {.project_id = project_id, .arena = a, .keys = out};

    *out = (struct trust_keys){.items = arena_new_array(a, struct trust_key, LIMIT_TRUST_KEYS),
                               .generation = judge_generation(s)};
    return state_read(s->state, read_fn, &op, e);
}

static int check_room(struct state_db *db, const struct key_op *op, struct err *e)
{
    int64_t n;

    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM supply_keys WHERE project_id = ?", "i",
                      op->project_id) < 0) {
        return -1;
    }
    return n < LIMIT_TRUST_KEYS
               ? 0
               : err_set(e, ERR_LIMIT, "a project has at most %d keys: delete one first",
                         LIMIT_TRUST_KEYS);
}

static int add_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct key_op *op = ctx;
    int r;

    if (access_project_check(db, op->project_id, e) < 0 || check_room(db, op, e) < 0) {
        return -1;
    }
    r = state_run(db, e,
                  "INSERT INTO supply_keys(project_id, name, pem, algorithm, fingerprint,"
                  " created_ms, created_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
                  "isszzis", op->project_id, op->name, op->pem, op->algorithm, op->fingerprint,
                  clock_wall_ms(), op->by);
    return r < 0 && e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "the project has a key \"%.*s\" already",
                         STR_ARG(op->name))
               : r;
}

int key_add(struct supply *s, int64_t project_id, struct str name, struct str pem, struct str by,
            struct err *e)
{
    struct key_op op = {.project_id = project_id, .name = name, .pem = pem, .by = by};
    EVP_PKEY *key;
    int r;

    if (thing_name_check(name, e) < 0) {
        return -1;
    }
    if (pem.len > LIMIT_PUBLIC_KEY_BYTES) {
        return err_set(e, ERR_LIMIT, "pem: a public key has at most %d KiB",
                       (int)(LIMIT_PUBLIC_KEY_BYTES / KIB));
    }
    if ((key = key_of_pem(pem, e)) == NULL) {
        return -1;
    }
    op.algorithm = key_algorithm(key);
    key_fingerprint(key, op.fingerprint);
    r = state_write(s->state, add_fn, &op, e);
    EVP_PKEY_free(key);
    judge_forget(s);
    return r;
}

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct key_op *op = ctx;

    if (state_run(db, e, "DELETE FROM supply_keys WHERE project_id = ? AND name = ?", "is",
                  op->project_id, op->name) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "the project has no key \"%.*s\"",
                                           STR_ARG(str_first(op->name, 64)));
}

int key_drop(struct supply *s, int64_t project_id, struct str name, struct err *e)
{
    struct key_op op = {.project_id = project_id, .name = name};
    int r = state_write(s->state, drop_fn, &op, e);

    judge_forget(s);
    return r;
}

static int write_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct key_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name, algorithm, fingerprint, pem, created_ms, created_by"
                   " FROM supply_keys WHERE project_id = ?1 AND (?2 IS NULL OR name = ?2)"
                   " AND has_words(?3, name, fingerprint, created_by) ORDER BY name",
                   "iss", op->project_id, op->name, op->q) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(op->w);
        jw_kv_str(op->w, "name", query_str(&q, 0));
        jw_kv_str(op->w, "algorithm", query_str(&q, 1));
        jw_kv_str(op->w, "fingerprint", query_str(&q, 2));
        jw_kv_str(op->w, "pem", query_str(&q, 3));
        jw_kv_time(op->w, "created_at", query_i64(&q, 4));
        jw_kv_str(op->w, "created_by", query_str(&q, 5));
        jw_end(op->w);
    }
    return r;
}

int keys_write(struct supply *s, int64_t project_id, struct str name, struct str q, struct jw *w,
               struct err *e)
{
    struct key_op op = {.project_id = project_id, .name = name, .q = q, .w = w};

    return state_read(s->state, write_fn, &op, e);
}
