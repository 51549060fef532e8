#include "labels.h"

#include "access/access.h"
#include "store_priv.h"

/* --- names and colours --- */

#define DEFAULT_COLOR "#0065ab"

static bool is_text(struct str s, const char *except)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < ' ' || c == 0x7f || (*except && c == (unsigned char)*except)) {
            return false;
        }
    }
    return true;
}

int label_name_check(struct str name, struct err *e)
{
    return name.len > 0 && name.len <= LIMIT_IMAGE_LABEL_BYTES && is_text(name, ",") &&
                   str_find_char(name, '/') < 0 && name.p[0] != ' ' &&
                   name.p[name.len - 1] != ' ' && !str_eq_c(name, ".") && !str_eq_c(name, "..")
               ? 0
               : err_set(e, ERR_INVALID,
                         "a label's name is text of 1 to 128 bytes without commas, slashes, "
                         "control characters and spaces at its ends");
}

static int check_color(struct str color, struct err *e)
{
    bool ok = color.len == 7 && color.p[0] == '#';

    for (size_t i = 1; i < color.len && ok; i++) {
        char c = color.p[i];

        ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    return ok ? 0 : err_set(e, ERR_INVALID, "color: expected # and six digits, as in #0065ab");
}

static int check_form(const struct label_form *f, struct err *e)
{
    if ((f->name.p != NULL && label_name_check(f->name, e) < 0) ||
        (f->color.p != NULL && check_color(f->color, e) < 0)) {
        return -1;
    }
    return f->description.len <= LIMIT_DESCRIPTION_BYTES && is_text(f->description, "")
               ? 0
               : err_set(e, ERR_INVALID, "description: one line of at most %d bytes",
                         LIMIT_DESCRIPTION_BYTES);
}

/* --- lists of names --- */

static int too_many(struct err *e)
{
    return err_set(e, ERR_INVALID, "at most %d labels can be asked for at once",
                   LIMIT_LABELS_ASKED);
}

int label_names_parse(struct arena *a, struct str text, struct str *out, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);
    size_t n = 0;
    int result = 0;

    *out = (struct str){0};
    if (text.len == 0) {
        return 0;
    }
    jw_array(&w);
    while (result == 0 && text.len > 0) {
        struct str name = str_trim(str_cut(&text, ','));

        result = n++ == LIMIT_LABELS_ASKED ? too_many(e) : label_name_check(name, e);
        jw_str(&w, name);
    }
    jw_end(&w);
    *out = arena_str(a, buf_str(&b));
    buf_done(&b);
    return result;
}

int label_names_json(struct arena *a, const json_t *list, const char *key, struct str *out,
                     struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    int result = 0;

    *out = STR_EMPTY;
    if (list == NULL || json_is_null(list)) {
        return 0;
    }
    if (!json_is_array(list)) {
        return err_set(e, ERR_INVALID, "%s: expected a list of names", key);
    }
    if (json_array_size(list) > LIMIT_LABELS_ASKED) {
        return too_many(e);
    }
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct str name = json_is_string(one)
                              ? str_n(json_string_value(one), json_string_length(one))
                              : STR_EMPTY;

        result = label_name_check(name, e) < 0 ? err_wrap(e, "%s[%zu]", key, i) : 0;
        buf_printf(&b, "%s%.*s", i > 0 ? "," : "", STR_ARG(name));
    }
    *out = b.len > 0 ? arena_str(a, buf_str(&b)) : STR_EMPTY;
    buf_done(&b);
    return result;
}

void label_names_write(struct jw *w, struct str names)
{
    jw_array(w);
    while (names.len > 0) {
        jw_str(w, str_cut(&names, ','));
    }
    jw_end(w);
}

/* --- the rows --- */

#define COLUMNS                                                                                    \
    "l.id, l.project_id, l.name, l.description, l.color, l.created_by, l.created_ms,"              \
    " l.updated_ms"

struct label_op {
    struct registry *r;
    struct arena *arena;
    const struct label_key *key;
    const struct label_form *form;
    struct label *out;
    int64_t project_id, id;
    struct str by;
    struct page *page;
    struct jw *w;
    /* of an image */
    const struct reference *ref;
    char *digest;
    bool *added;
};

static void read_label(const struct query *q, struct arena *a, struct label *out)
{
    *out = (struct label){.id = query_i64(q, 0),
                          .project_id = query_i64(q, 1),
                          .name = arena_str(a, query_str(q, 2)),
                          .description = arena_str(a, query_str(q, 3)),
                          .color = arena_str(a, query_str(q, 4)),
                          .created_by = arena_str(a, query_str(q, 5)),
                          .created_ms = query_i64(q, 6),
                          .updated_ms = query_i64(q, 7)};
}

static int no_label(const struct label_key *k, struct err *e)
{
    return k->id != 0
               ? err_set(e, ERR_NOT_FOUND, "there is no label of the id %lld", (long long)k->id)
               : err_set(e, ERR_NOT_FOUND, "there is no label \"%.*s\"",
                         STR_ARG(str_first(k->name, LIMIT_IMAGE_LABEL_BYTES)));
}

/* The id of one that is there. */
static int find_id(struct state_db *db, const struct label_key *k, int64_t *id, struct err *e)
{
    int result = k->id != 0
                     ? state_one_i64(db, id, e, "",
                                     "SELECT id FROM labels WHERE id = ? AND gone = 0", "i", k->id)
                     : state_one_i64(db, id, e, "",
                                     "SELECT id FROM labels WHERE project_id = ?"
                                     " AND name = ? AND gone = 0",
                                     "is", k->project_id, k->name);

    return result < 0 && e->kind == ERR_NOT_FOUND ? no_label(k, e) : result;
}

static int taken(struct str name, struct err *e)
{
    return e->kind == ERR_CONFLICT
               ? err_set(e, ERR_CONFLICT, "there is a label \"%.*s\" already", STR_ARG(name))
               : -1;
}

static int make_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    const struct label_form *f = op->form;
    int64_t n, now = clock_wall_ms();

    if ((op->project_id != 0 && access_project_check(db, op->project_id, e) < 0) ||
        state_one_i64(db, &n, e, "rows",
                      "SELECT count(*) FROM labels WHERE project_id = ? AND gone = 0", "i",
                      op->project_id) < 0) {
        return -1;
    }
    if (n >= LIMIT_LABELS) {
        return err_set(e, ERR_LIMIT, "there are %d labels: delete one first", LIMIT_LABELS);
    }
    if (state_run(db, e,
                  "INSERT INTO labels(project_id, name, description, color, created_by,"
                  " created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                  "issssi", op->project_id, f->name, f->description.p ? f->description : STR_EMPTY,
                  f->color.p ? f->color : STR(DEFAULT_COLOR), op->by, now) < 0) {
        return taken(f->name, e);
    }
    op->id = state_last_id(db);
    return 0;
}

int store_label_make(struct registry *r, int64_t project_id, const struct label_form *f,
                     struct str by, int64_t *id, struct err *e)
{
    struct label_op op = {.project_id = project_id, .form = f, .by = by};

    if (label_name_check(f->name.p ? f->name : STR_EMPTY, e) < 0 || check_form(f, e) < 0 ||
        state_write(r->state, make_fn, &op, e) < 0) {
        return -1;
    }
    *id = op.id;
    return 0;
}

static int find_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t id;
    int r;

    if (find_id(db, op->key, &id, e) < 0 ||
        query_open(&q, db, e, "SELECT " COLUMNS " FROM labels l WHERE l.id = ?", "i", id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return no_label(op->key, e);
    }
    read_label(&q, op->arena, op->out);
    return 0;
}

int store_label_find(struct registry *r, struct arena *a, const struct label_key *k,
                     struct label *out, struct err *e)
{
    return state_read(r->state, find_fn, &(struct label_op){.arena = a, .key = k, .out = out}, e);
}

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    const struct label_form *f = op->form;
    int64_t id;

    if (find_id(db, op->key, &id, e) < 0) {
        return -1;
    }
    return state_run(db, e,
                     "UPDATE labels SET name = coalesce(?2, name),"
                     " description = coalesce(?3, description), color = coalesce(?4, color),"
                     " updated_ms = ?5 WHERE id = ?1",
                     "isssi", id, f->name, f->description, f->color, clock_wall_ms()) < 0
               ? taken(f->name, e)
               : 0;
}

int store_label_change(struct registry *r, const struct label_key *k, const struct label_form *f,
                       struct err *e)
{
    return check_form(f, e) < 0
               ? -1
               : state_write(r->state, change_fn, &(struct label_op){.key = k, .form = f}, e);
}

void label_write(struct jw *w, const struct label *l)
{
    jw_object(w);
    jw_kv_i64(w, "id", l->id);
    jw_kv_str(w, "name", l->name);
    jw_kv_str(w, "description", l->description);
    jw_kv_str(w, "color", l->color);
    jw_kv_c(w, "scope", l->project_id == 0 ? "global" : "project");
    jw_kv_str(w, "created_by", l->created_by);
    jw_kv_time(w, "created_at", l->created_ms);
    jw_end(w);
}

/* Of a project: its own, and the global ones, which its images may have too. */
static int rows_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    struct str after = op->page->after.p ? op->page->after : STR_EMPTY;
    struct str name = after;
    ptrdiff_t space = str_find_char(after, ' ');
    struct label l = {.id = 0};
    uint64_t after_id = 0;
    int r;

    if (after.len > 0) { /* "<id> <name>" */
        if (space < 0 || str_to_u64(str_first(after, (size_t)space), &after_id) < 0 ||
            after_id > INT64_MAX) {
            return err_set(e, ERR_INVALID, "after: expected what 'next' said");
        }
        name = str_from(after, (size_t)space + 1);
    }
    if (query_open(&q, db, e,
                   "SELECT " COLUMNS " FROM labels l WHERE l.project_id IN (0, ?1) AND l.gone = 0"
                   " AND (l.name, l.id) > (?2, ?3) AND has_words(?4, l.name, l.description)"
                   " ORDER BY l.name, l.id LIMIT ?5",
                   "isisi", op->project_id, name, (int64_t)after_id, op->page->q,
                   op->page->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (op->page->n == op->page->limit) {
            op->page->last = str_of(
                arena_printf(op->page->arena, "%lld %.*s", (long long)l.id, STR_ARG(l.name)));
            return 0;
        }
        read_label(&q, op->page->arena, &l);
        label_write(op->w, &l);
        op->page->n++;
    }
    return r;
}

int store_label_rows(struct registry *r, int64_t project_id, struct page *p, struct jw *w,
                     struct err *e)
{
    return state_read(r->state, rows_fn,
                      &(struct label_op){.project_id = project_id, .page = p, .w = w}, e);
}

/* --- gone --- */

static int drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct label_op *op = ctx;
    int64_t id;

    return find_id(db, op->key, &id, e) < 0
               ? -1
               : state_run(db, e, "UPDATE labels SET gone = 1 WHERE id = ?", "i", id);
}

int store_label_drop(struct registry *r, const struct label_key *k, struct err *e)
{
    struct err later;

    if (state_write(r->state, drop_fn, &(struct label_op){.key = k}, e) < 0) {
        return -1;
    }
    (void)!store_labels_purge(r, &later); /* what is left goes in housekeeping */
    return 0;
}

int db_labels_project_gone(struct state_db *db, int64_t project_id, struct err *e)
{
    return state_run(db, e, "UPDATE labels SET gone = 1 WHERE project_id = ?", "i", project_id);
}

static int any_gone_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_one_i64(db, ctx, e, "rows", "SELECT EXISTS (SELECT 1 FROM labels WHERE gone = 1)",
                         "");
}

static int purge_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    int64_t n = 0, step = LIMIT_LABEL_STEP;

    if (state_run(db, e,
                  "DELETE FROM manifest_labels WHERE (manifest_id, label_id) IN"
                  " (SELECT x.manifest_id, x.label_id FROM labels l JOIN manifest_labels x"
                  "  ON x.label_id = l.id WHERE l.gone = 1 LIMIT ?)",
                  "i", step) < 0) {
        return -1;
    }
    n = state_changes(db);
    if (n < step &&
        state_run(db, e,
                  "DELETE FROM trash_labels WHERE (trash_id, digest, label_id) IN"
                  " (SELECT x.trash_id, x.digest, x.label_id FROM labels l JOIN trash_labels x"
                  "  ON x.label_id = l.id WHERE l.gone = 1 LIMIT ?)",
                  "i", step - n) < 0) {
        return -1;
    }
    return n < step && state_changes(db) < step - n
               ? state_run(
                     db, e,
                     "DELETE FROM labels WHERE gone = 1 AND NOT EXISTS"
                     " (SELECT 1 FROM manifest_labels WHERE label_id = labels.id)"
                     " AND NOT EXISTS (SELECT 1 FROM trash_labels WHERE label_id = labels.id)",
                     "")
               : 0;
}

int store_labels_purge(struct registry *r, struct err *e)
{
    enum { STEPS = 20 };
    int64_t more = 0;

    for (int i = 0; i < STEPS; i++) {
        if (state_read(r->state, any_gone_fn, &more, e) < 0 ||
            (more && state_write(r->state, purge_fn, NULL, e) < 0)) {
            return -1;
        }
        if (!more) {
            return 0;
        }
    }
    return 0;
}

/* --- on images --- */

static int find_image(struct state_db *db, const struct label_op *op, int64_t *manifest_id,
                      struct err *e)
{
    const struct reference *ref = op->ref;
    struct str what = ref->tag.p ? ref->tag : str_of(ref->digest);
    SCOPED(query_done) struct query q = {0};
    const char *code;
    int64_t id;
    int r;

    if (db_repository(db, ref->repository, &id, &code, e) < 0 ||
        query_open(&q, db, e,
                   ref->tag.p ? "SELECT m.id, m.digest FROM tags t JOIN manifests m"
                                " ON m.id = t.manifest_id WHERE t.repository_id = ?1"
                                " AND t.name = ?2 AND m.project_id = ?3"
                              : "SELECT id, digest FROM manifests WHERE repository_id = ?1"
                                " AND digest = ?2 AND project_id = ?3",
                   "isi", id, what, op->project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "repository %.*s has no image %.*s",
                       STR_ARG(ref->repository), STR_ARG(str_first(what, 150)));
    }
    *manifest_id = query_i64(&q, 0);
    return op->digest == NULL || str_copy(query_str(&q, 1), op->digest, CONTENT_DIGEST_MAX) == 0
               ? 0
               : err_set(e, ERR_IO, "a digest is too long");
}

/* Of this project or global. */
static int find_usable(struct state_db *db, const struct label_op *op, int64_t *id, struct err *e)
{
    const struct label_key *k = op->key;
    int result = state_one_i64(db, id, e, "",
                               "SELECT id FROM labels WHERE gone = 0 AND project_id IN (0, ?3)"
                               " AND CASE WHEN ?1 > 0 THEN id = ?1 ELSE name = ?2 END"
                               " ORDER BY project_id DESC LIMIT 1",
                               "isi", k->id, k->name, op->project_id);

    return result < 0 && e->kind == ERR_NOT_FOUND ? no_label(k, e) : result;
}

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    int64_t manifest_id, label_id, n;

    if (find_image(db, op, &manifest_id, e) < 0 || find_usable(db, op, &label_id, e) < 0 ||
        state_run(db, e, "INSERT OR IGNORE INTO manifest_labels VALUES (?, ?)", "ii", manifest_id,
                  label_id) < 0) {
        return -1;
    }
    *op->added = state_changes(db) > 0;
    if (state_one_i64(db, &n, e, "rows",
                      "SELECT count(*) FROM manifest_labels JOIN labels l ON l.id = label_id"
                      " WHERE manifest_id = ? AND l.gone = 0",
                      "i", manifest_id) < 0) {
        return -1;
    }
    return n <= LIMIT_IMAGE_LABELS
               ? 0
               : err_set(e, ERR_LIMIT, "the image has %d labels: take one off first",
                         LIMIT_IMAGE_LABELS);
}

int store_label_put(struct registry *r, const struct reference *ref, int64_t project_id,
                    const struct label_key *k, bool *added, char digest[CONTENT_DIGEST_MAX],
                    struct err *e)
{
    struct label_op op = {
        .key = k, .project_id = project_id, .ref = ref, .added = added, .digest = digest};

    return state_write(r->state, put_fn, &op, e);
}

static int take_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct label_op *op = ctx;
    const struct label_key *k = op->key;
    int64_t manifest_id;

    if (find_image(db, op, &manifest_id, e) < 0 ||
        state_run(db, e,
                  "DELETE FROM manifest_labels WHERE manifest_id = ?1 AND label_id IN (SELECT id"
                  " FROM labels WHERE gone = 0 AND CASE WHEN ?2 > 0 THEN id = ?2"
                  " ELSE name = ?3 END)",
                  "iis", manifest_id, k->id, k->name) < 0) {
        return -1;
    }
    return state_changes(db) > 0 ? 0
                                 : err_set(e, ERR_NOT_FOUND, "the image does not have this label");
}

int store_label_take(struct registry *r, const struct reference *ref, int64_t project_id,
                     const struct label_key *k, struct err *e)
{
    return state_write(r->state, take_fn,
                       &(struct label_op){.key = k, .project_id = project_id, .ref = ref}, e);
}

static int image_labels_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct label_op *op = ctx;
    SCOPED(query_done) struct query q = {0};
    int64_t manifest_id;

    if (find_image(db, op, &manifest_id, e) < 0 ||
        query_open(&q, db, e, "SELECT " SQL_LABELS " FROM manifests m WHERE m.id = ?", "i",
                   manifest_id) < 0 ||
        query_step(&q, e) < 0) {
        return -1;
    }
    jw_raw(op->w, query_str(&q, 0));
    return 0;
}

int store_image_labels(struct registry *r, const struct reference *ref, int64_t project_id,
                       struct jw *w, struct err *e)
{
    return state_read(r->state, image_labels_fn,
                      &(struct label_op){.project_id = project_id, .ref = ref, .w = w}, e);
}

int db_tag_has_labels(struct state_db *db, struct arena *a, struct str repository, struct str tag,
                      struct str names, struct err *e)
{
    struct str json;
    int64_t found;

    return label_names_parse(a, names, &json, e) < 0 ||
                   state_one_i64(db, &found, e, "rows",
                                 "SELECT EXISTS (SELECT 1 FROM repositories r JOIN tags t"
                                 " ON t.repository_id = r.id JOIN manifests m"
                                 " ON m.id = t.manifest_id WHERE r.name = ?1 AND t.name = ?2"
                                 " AND " SQL_HAS_LABELS("?3") ")",
                                 "sss", repository, tag, json) < 0
               ? -1
               : found != 0;
}
