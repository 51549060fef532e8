#include "secrets_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "state/state.h"

#include <stdlib.h>
#include <string.h>

enum {
    SECRETS_PER_PROJECT = 256, /* they are listed on one page */
    AAD_MAX = 8 + LIMIT_NAME_BYTES,
};

struct secrets {
    struct state *state;
    unsigned char key[KEY_BYTES]; /* constant */
};

static const char *const steps[] = {
    "/* secrets */"
    "CREATE TABLE secrets("
    "  project_id INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  nonce BLOB NOT NULL,"
    "  sealed BLOB NOT NULL," /* ciphertext and tag */
    "  updated_ms INTEGER NOT NULL,"
    "  updated_by TEXT NOT NULL,"
    "  PRIMARY KEY(project_id, name)"
    ") STRICT;",
    NULL,
};

const struct state_schema secrets_schema = {"secrets", steps};

static int count_all(struct state_db *db, void *out, struct err *e)
{
    return state_one_i64(db, out, e, "", "SELECT count(*) FROM secrets", "");
}

static int make_first_key(struct secrets *s, const char *key_path, struct err *e)
{
    int64_t n;

    if (state_read(s->state, count_all, &n, e) < 0) {
        return -1;
    }
    if (n > 0) {
        return err_set(e, ERR_NOT_FOUND,
                       "%s is missing, and %lld secrets are sealed under it: restore it from the "
                       "backup",
                       key_path, (long long)n);
    }
    return secrets_key_make(key_path, s->key, e);
}

struct secrets *secrets_open(struct state *state, const char *key_path, struct err *e)
{
    SCOPED(secrets_closep) struct secrets *s = xnew(struct secrets);
    int r;

    s->state = state;
    r = secrets_key_read(key_path, s->key, e);
    if (r < 0 || (r > 0 && make_first_key(s, key_path, e) < 0)) {
        return NULL;
    }
    return TAKE(s);
}

void secrets_close(struct secrets *s)
{
    if (s) {
        explicit_bzero(s->key, sizeof(s->key));
        free(s);
    }
}

static int check_name(struct str name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES && name.p[0] != '.' && name.p[0] != '-';

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.p[i];

        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    }
    return ok ? 0
              : err_set(e, ERR_INVALID,
                        "secret name \"%.*s\": use 1 to %d letters, digits, '.', '_' and '-', not "
                        "starting with '.' or '-'",
                        STR_ARG(str_first(name, 80)), LIMIT_NAME_BYTES);
}

/* What is authenticated with the value: its place. Project id (8 bytes, little-endian), name. */
static struct str aad_of(int64_t project_id, struct str name, char out[AAD_MAX])
{
    for (int i = 0; i < 8; i++) {
        out[i] = (char)((uint64_t)project_id >> (8 * i));
    }
    memcpy(out + 8, name.p, name.len);
    return str_n(out, 8 + name.len);
}

struct row {
    int64_t project_id;
    struct str name, by, nonce, sealed;
    struct secrets *s;
    struct buf *value;
};

static int put_row(struct state_db *db, void *ctx, struct err *e)
{
    const struct row *r = ctx;
    int64_t n;

    if (state_run(db, e,
                  "INSERT INTO secrets VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                  "nonce = excluded.nonce, sealed = excluded.sealed, "
                  "updated_ms = excluded.updated_ms, updated_by = excluded.updated_by",
                  "isbbis", r->project_id, r->name, r->nonce, r->sealed, clock_wall_ms(),
                  r->by) < 0 ||
        state_one_i64(db, &n, e, "", "SELECT count(*) FROM secrets WHERE project_id = ?", "i",
                      r->project_id) < 0) {
        return -1;
    }
    return n <= SECRETS_PER_PROJECT
               ? 0
               : err_set(e, ERR_LIMIT, "a project holds at most %d secrets", SECRETS_PER_PROJECT);
}

int secrets_put(struct secrets *s, int64_t project_id, struct str name, struct str value,
                struct str by, struct err *e)
{
    unsigned char nonce[NONCE_BYTES] = {0};
    char aad[AAD_MAX];
    struct buf sealed = BUF_MAX(LIMIT_SECRET_BYTES + TAG_BYTES);
    struct row row = {.project_id = project_id,
                      .name = name,
                      .by = by,
                      .nonce = str_n((const char *)nonce, sizeof(nonce))};
    int r;

    if (check_name(name, e) < 0) {
        return -1;
    }
    if (str_find_char(value, '\0') >= 0) {
        return err_set(e, ERR_INVALID,
                       "a secret cannot hold a zero byte: it becomes an "
                       "environment variable");
    }
    random_bytes(nonce, sizeof(nonce));
    r = secrets_seal(s->key, nonce, aad_of(project_id, name, aad), value, &sealed, e);
    if (r == 0) {
        row.sealed = buf_str(&sealed);
        r = state_write(s->state, put_row, &row, e);
    }
    buf_done(&sealed);
    return r;
}

static int get_row(struct state_db *db, void *ctx, struct err *e)
{
    const struct row *r = ctx;
    SCOPED(query_done) struct query q = {0};
    char aad[AAD_MAX];
    struct str nonce;
    int found;

    if (query_open(&q, db, e, "SELECT nonce, sealed FROM secrets WHERE project_id = ? AND name = ?",
                   "is", r->project_id, r->name) < 0 ||
        (found = query_step(&q, e)) < 0) {
        return -1;
    }
    if (!found) {
        return err_set(e, ERR_NOT_FOUND, "the project has no secret \"%.*s\"", STR_ARG(r->name));
    }
    nonce = query_str(&q, 0);
    if (nonce.len != NONCE_BYTES) {
        return err_set(e, ERR_IO, "secret \"%.*s\" is damaged: set it again", STR_ARG(r->name));
    }
    if (secrets_unseal(r->s->key, (const unsigned char *)nonce.p,
                       aad_of(r->project_id, r->name, aad), query_str(&q, 1), r->value, e) < 0) {
        return err_wrap(e, "secret \"%.*s\"", STR_ARG(r->name));
    }
    return 0;
}

int secrets_get(struct secrets *s, int64_t project_id, struct str name, struct buf *value,
                struct err *e)
{
    struct row r = {.project_id = project_id, .name = name, .s = s, .value = value};

    return check_name(name, e) < 0 ? -1 : state_read(s->state, get_row, &r, e);
}

static int delete_row(struct state_db *db, void *ctx, struct err *e)
{
    const struct row *r = ctx;

    if (state_run(db, e, "DELETE FROM secrets WHERE project_id = ? AND name = ?", "is",
                  r->project_id, r->name) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_NOT_FOUND, "the project has no secret \"%.*s\"", STR_ARG(r->name));
}

int secrets_delete(struct secrets *s, int64_t project_id, struct str name, struct err *e)
{
    struct row r = {.project_id = project_id, .name = name};

    return check_name(name, e) < 0 ? -1 : state_write(s->state, delete_row, &r, e);
}

struct list_of {
    int64_t project_id;
    struct str q;
    struct jw *out;
};

static int list_rows(struct state_db *db, void *ctx, struct err *e)
{
    const struct list_of *l = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT name, updated_ms, updated_by FROM secrets WHERE project_id = ? "
                   "AND has_words(?, name, updated_by) ORDER BY name",
                   "is", l->project_id, l->q) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(l->out);
        jw_kv_str(l->out, "name", query_str(&q, 0));
        jw_kv_time(l->out, "updated_at", query_i64(&q, 1));
        jw_kv_str(l->out, "updated_by", query_str(&q, 2));
        jw_end(l->out);
    }
    return r;
}

int secrets_list(struct secrets *s, int64_t project_id, struct str q, struct jw *out, struct err *e)
{
    return state_read(s->state, list_rows, &(struct list_of){project_id, q, out}, e);
}

/* No project has the id -1: a value of a place is never one of a secret. */
static struct str aad_of_place(struct str place, char out[SECRETS_PLACE_MAX + 8])
{
    memset(out, 0xff, 8);
    memcpy(out + 8, place.p, place.len);
    return str_n(out, 8 + place.len);
}

static int check_place(struct str place, struct err *e)
{
    return place.len > 0 && place.len <= SECRETS_PLACE_MAX
               ? 0
               : err_set(e, ERR_INTERNAL, "a place of %zu bytes for a sealed value", place.len);
}

int secrets_wrap(const struct secrets *s, struct str place, struct str value, struct buf *sealed,
                 struct err *e)
{
    unsigned char nonce[NONCE_BYTES] = {0};
    char aad[SECRETS_PLACE_MAX + 8];

    random_bytes(nonce, sizeof(nonce));
    return check_place(place, e) < 0 ||
                   buf_add(sealed, str_n((const char *)nonce, sizeof(nonce))) < 0
               ? -1
               : secrets_seal(s->key, nonce, aad_of_place(place, aad), value, sealed, e);
}

int secrets_unwrap(const struct secrets *s, struct str place, struct str sealed, struct buf *value,
                   struct err *e)
{
    char aad[SECRETS_PLACE_MAX + 8];

    if (check_place(place, e) < 0) {
        return -1;
    }
    if (sealed.len < SECRETS_OVERHEAD) {
        return err_set(e, ERR_IO, "the sealed value has an impossible length");
    }
    return secrets_unseal(s->key, (const unsigned char *)sealed.p, aad_of_place(place, aad),
                          str_from(sealed, NONCE_BYTES), value, e);
}

static int delete_all(struct state_db *db, void *ctx, struct err *e)
{
    return state_run(db, e, "DELETE FROM secrets WHERE project_id = ?", "i", *(int64_t *)ctx);
}

int secrets_project_gone(struct secrets *s, int64_t project_id, struct err *e)
{
    return state_write(s->state, delete_all, &project_id, e);
}
