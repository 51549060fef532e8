#include "access_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/vec.h"
#include "state/state.h"

struct one_project {
    const struct access *a;
    struct str name;
    const struct principal *who;
    struct project_form form;
    enum change deleting;
    bool was_public;
    int64_t id, slot;
    struct user_ids members; /* of one that is deleted */
    struct jw *w;
};

int access_err_no_project(struct str name, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no project \"%.*s\", or you may not see it",
                   STR_ARG(str_first(name, LIMIT_NAME_BYTES)));
}

/* A range that was never given; when all were, the one that rests longest. What a project holds
 * goes before its row does: the rest is for what was overlooked. No shortest rest, because then
 * whoever makes and deletes projects could keep others from theirs. */
static int choose_slot(struct state_db *db, int64_t *slot, struct err *e)
{
    if (state_one_i64(db, slot, e, "",
                      "SELECT 1 + max((SELECT coalesce(max(slot), 0) FROM projects),"
                      " (SELECT coalesce(max(slot), 0) FROM free_slots))",
                      "") < 0) {
        return -1;
    }
    if (*slot <= SLOT_MAX) {
        return 0;
    }
    if (state_one_i64(db, slot, e, "",
                      "SELECT slot FROM free_slots ORDER BY freed_ms, slot LIMIT 1", "") < 0) {
        return e->kind == ERR_NOT_FOUND
                   ? err_set(e, ERR_LIMIT,
                             "there are %d projects, and no more ranges of user ids on this "
                             "machine: delete one first",
                             (int)SLOT_MAX)
                   : -1;
    }
    return state_run(db, e, "DELETE FROM free_slots WHERE slot = ?", "i", *slot);
}

/* Texts for people: lines and tabs, nothing that moves a terminal's cursor. */
static int check_form(const struct project_form *f, struct err *e)
{
    bool ok = f->description.len <= PROJECT_DESCRIPTION_MAX;

    for (size_t i = 0; i < f->description.len && ok; i++) {
        unsigned char c = (unsigned char)f->description.p[i];

        ok = (c >= ' ' && c != 0x7f) || c == '\n' || c == '\t';
    }
    if (!ok) {
        return err_set(e, ERR_INVALID, "description: text of at most %d bytes",
                       PROJECT_DESCRIPTION_MAX);
    }
    return f->ttl_sec <= PROXY_TTL_MAX_SEC
               ? 0
               : err_set(e, ERR_INVALID, "proxy.ttl_seconds: expected 0 to %d", PROXY_TTL_MAX_SEC);
}

static int check_share(struct state_db *db, const struct one_project *p, struct err *e)
{
    int64_t n, max = p->a->projects_per_user;

    if (p->who->is_admin || max <= 0) {
        return 0;
    }
    if (state_one_i64(db, &n, e, "", "SELECT count(*) FROM projects WHERE created_by = ?", "z",
                      p->who->name) < 0) {
        return -1;
    }
    return n < max ? 0
                   : err_set(e, ERR_LIMIT,
                             "you have made %lld projects: delete one first, or ask an "
                             "administrator (setting access.projects_per_user)",
                             (long long)n);
}

static int check_proxy(struct state_db *db, const struct one_project *p, struct err *e)
{
    const struct access_hooks *h = &p->a->hooks;

    if (p->form.registry.p == NULL) {
        return 0;
    }
    return h->proxy_ok ? h->proxy_ok(h->ctx, db, p->form.registry, e)
                       : err_set(e, ERR_UNSUPPORTED, "proxy: there are no other registries here");
}

static int insert_project(struct state_db *db, void *ctx, struct err *e)
{
    struct one_project *p = ctx;

    if (check_share(db, p, e) < 0 || check_proxy(db, p, e) < 0 ||
        choose_slot(db, &p->slot, e) < 0) {
        return -1;
    }
    if (state_run(db, e,
                  "INSERT INTO projects(name, public, created_ms, created_by, slot, description, "
                  "proxy_registry, proxy_ttl_sec) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                  "siizissi", p->name, (int64_t)(p->form.is_public == CHANGE_SET), clock_wall_ms(),
                  p->who->name, p->slot, p->form.description, p->form.registry,
                  p->form.ttl_sec) < 0) {
        return e->kind == ERR_CONFLICT
                   ? err_set(e, ERR_CONFLICT, "project \"%.*s\" exists already", STR_ARG(p->name))
                   : -1;
    }
    p->id = state_last_id(db);
    if (p->who->user_id == 0) {
        return 0;
    }
    return state_run(db, e, "INSERT INTO members VALUES(?, ?, 'maintainer')", "ii", p->id,
                     p->who->user_id);
}

/* What anybody could see, anybody hears of, also when it is about to be hidden. */
static void tell_seeing(struct access *a, const struct one_project *p, const char *action)
{
    access_tell_project(
        a,
        &(struct http_audience){.perm = p->was_public ? PERM_SIGNED_IN : PERM_PROJECT_READ,
                                .project = p->name},
        p->name, action);
}

int access_project_make(struct access *a, const struct principal *maker, struct str name,
                        const struct project_form *form, struct err *e)
{
    struct one_project p = {.a = a, .name = name, .who = maker, .form = *form};

    p.form.description = form->description.p ? form->description : STR_EMPTY;
    p.form.ttl_sec = form->ttl_sec < 0 ? PROXY_TTL_SEC : form->ttl_sec;
    if (access_check_project_name(name, e) < 0 || check_form(form, e) < 0 ||
        state_write(a->state, insert_project, &p, e) < 0) {
        return -1;
    }
    access_forget(a);
    access_tell_me(a, maker->user_id);
    tell_seeing(a, &p, "created");
    return 0;
}

int access_project_add(struct access *a, const struct principal *maker, struct str name,
                       unsigned flags, struct err *e)
{
    struct project_form form = {.is_public = flags & PROJECT_PUBLIC ? CHANGE_SET : CHANGE_CLEAR};

    return access_project_make(a, maker, name, &form, e);
}

/* What the form of a project that is there changes but for `public`. */
static int update_texts(struct state_db *db, const struct one_project *p, struct err *e)
{
    const struct project_form *f = &p->form;

    if (f->description.p != NULL &&
        state_run(db, e, "UPDATE projects SET description = ? WHERE id = ?", "si", f->description,
                  p->id) < 0) {
        return -1;
    }
    if (f->ttl_sec < 0) {
        return 0;
    }
    if (state_run(db, e,
                  "UPDATE projects SET proxy_ttl_sec = ? WHERE id = ?"
                  " AND proxy_registry IS NOT NULL",
                  "ii", f->ttl_sec, p->id) < 0) {
        return -1;
    }
    return state_changes(db) > 0
               ? 0
               : err_set(e, ERR_CONFLICT,
                         "proxy: this project is no cache of another registry; a project is made "
                         "as one");
}

static int update_project(struct state_db *db, void *ctx, struct err *e)
{
    struct one_project *p = ctx;

    int64_t was_public;

    if (state_one_i64(db, &p->id, e, "", "SELECT id FROM projects WHERE name = ?", "s", p->name) <
            0 ||
        state_one_i64(db, &was_public, e, "", "SELECT public FROM projects WHERE id = ?", "i",
                      p->id) < 0) {
        return e->kind == ERR_NOT_FOUND ? access_err_no_project(p->name, e) : -1;
    }
    p->was_public = was_public != 0;
    if (p->form.is_public != CHANGE_KEEP &&
        state_run(db, e, "UPDATE projects SET public = ? WHERE id = ?", "ii",
                  (int64_t)(p->form.is_public == CHANGE_SET), p->id) < 0) {
        return -1;
    }
    if (update_texts(db, p, e) < 0) {
        return -1;
    }
    return p->deleting == CHANGE_KEEP
               ? 0
               : state_run(db, e, "UPDATE projects SET deleting = ? WHERE id = ?", "ii",
                           (int64_t)(p->deleting == CHANGE_SET), p->id);
}

int access_project_change(struct access *a, struct str name, const struct project_form *form,
                          struct err *e)
{
    struct one_project p = {.name = name, .form = *form};

    if (check_form(form, e) < 0 || state_write(a->state, update_project, &p, e) < 0) {
        return -1;
    }
    access_forget(a);
    tell_seeing(a, &p, "changed");
    return 0;
}

static int note_members(struct state_db *db, struct one_project *p, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT DISTINCT user_id FROM memberships WHERE project_id = ?", "i",
                   p->id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        *vec_push(&p->members) = query_i64(&q, 0);
    }
    return r;
}

static int delete_project(struct state_db *db, void *ctx, struct err *e)
{
    struct one_project *p = ctx;

    if (note_members(db, p, e) < 0) {
        return -1;
    }
    return state_run(db, e, "INSERT INTO free_slots SELECT slot, ? FROM projects WHERE id = ?",
                     "ii", clock_wall_ms(), p->id) < 0
               ? -1
               : state_run(db, e, "DELETE FROM projects WHERE id = ?", "i", p->id);
}

/* Hidden first, so that nothing new is put into it; then what others keep for it; then the row.
 * When others cannot let go, it is shown again. */
int access_project_delete(struct access *a, struct str name, struct err *e)
{
    struct one_project hide = {.name = name, .deleting = CHANGE_SET, .form = {.ttl_sec = -1}};
    struct one_project show = {.name = name, .deleting = CHANGE_CLEAR, .form = {.ttl_sec = -1}};
    struct err ignored;

    if (state_write(a->state, update_project, &hide, e) < 0) {
        return -1;
    }
    access_forget(a);
    if ((a->hooks.project_gone && a->hooks.project_gone(a->hooks.ctx, hide.id, name, e) < 0) ||
        state_write(a->state, delete_project, &hide, e) < 0) {
        err_wrap(e, "project \"%.*s\" is kept", STR_ARG(name));
        (void)!state_write(a->state, update_project, &show, &ignored);
        access_forget(a);
        vec_done(&hide.members);
        return -1;
    }
    access_forget(a);
    tell_seeing(a, &hide, "deleted");
    access_tell_all(a, &hide.members); /* the project tells them nothing any more */
    vec_done(&hide.members);
    return 0;
}

/* One that is being deleted takes nothing new, also from requests that began before. */
int access_project_find(struct state_db *db, struct str name, int64_t *id, struct err *e)
{
    int r = state_one_i64(db, id, e, "", "SELECT id FROM projects WHERE name = ? AND deleting = 0",
                          "s", name);

    return r < 0 && e->kind == ERR_NOT_FOUND ? access_err_no_project(name, e) : r;
}

int access_project_proxy(struct state_db *db, struct str project, struct project_proxy *out,
                         struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT id, proxy_ttl_sec, proxy_registry FROM projects WHERE name = ?"
                   " AND deleting = 0 AND proxy_registry IS NOT NULL",
                   "s", project) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return 0;
    }
    out->project_id = query_i64(&q, 0);
    out->ttl_sec = query_i64(&q, 1);
    return str_copy(query_str(&q, 2), out->registry, sizeof(out->registry)) < 0 ? 0 : 1;
}

int access_proxy_of(struct state_db *db, struct str registry, char project[65], struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    project[0] = '\0';
    if (query_open(&q, db, e,
                   "SELECT name FROM projects WHERE proxy_registry IS NOT NULL"
                   " AND (?1 IS NULL OR proxy_registry = ?1) LIMIT 1",
                   "s", registry) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? 0 : str_copy(query_str(&q, 0), project, 65);
}

int access_project_check(struct state_db *db, int64_t id, struct err *e)
{
    int64_t found;

    return state_one_i64(db, &found, e, "the project was deleted meanwhile",
                         "SELECT id FROM projects WHERE id = ? AND deleting = 0", "i", id);
}

int access_project_look(struct state_db *db, int64_t id, char name[65], bool *is_public,
                        struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT name, public FROM projects WHERE id = ?", "i", id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0 || str_copy(query_str(&q, 0), name, 65) < 0) {
        return err_set(e, ERR_NOT_FOUND, "the project was deleted meanwhile");
    }
    *is_public = query_i64(&q, 1) != 0;
    return 0;
}

struct find_id {
    struct str name;
    int64_t id, slot;
};

static int read_id(struct state_db *db, void *ctx, struct err *e)
{
    struct find_id *f = ctx;

    return access_project_find(db, f->name, &f->id, e) < 0
               ? -1
               : state_one_i64(db, &f->slot, e, "", "SELECT slot FROM projects WHERE id = ?", "i",
                               f->id);
}

/* host ids: 100000000 + slot x 65536, 65536 of them (docs/formats/state.md) */
int access_project(struct access *a, struct str name, int64_t *id, uint32_t *id_base, struct err *e)
{
    struct find_id f = {.name = name};

    if (state_read(a->state, read_id, &f, e) < 0) {
        return -1;
    }
    if (f.slot < 1 || f.slot > SLOT_MAX) {
        return err_set(e, ERR_INTERNAL, "project %lld has no range of user ids", (long long)f.id);
    }
    *id = f.id;
    *id_base = (uint32_t)(ID_BASE_FIRST + f.slot * ID_RANGE);
    return 0;
}

void access_project_row(struct jw *w, const struct query *q, const struct principal *who)
{
    jw_object(w);
    jw_kv_str(w, "name", query_str(q, 0));
    jw_kv_bool(w, "public", query_i64(q, 1) != 0);
    if (who->is_admin) {
        jw_kv_c(w, "role", role_name(ROLE_ADMIN));
    } else if (query_is_null(q, 2)) {
        jw_kv_c(w, "role", role_name(ROLE_ANONYMOUS));
    } else if (who->user_id < 0) {
        jw_kv_c(w, "role", "robot");
    } else {
        jw_kv_c(w, "role", role_name(access_role_of_rank(query_i64(q, 2))));
    }
    jw_kv_time(w, "created_at", query_i64(q, 3));
    jw_kv_str(w, "description", query_str(q, 4));
    jw_key(w, "proxy");
    if (query_is_null(q, 5)) {
        jw_null(w);
    } else {
        jw_object(w);
        jw_kv_str(w, "registry", query_str(q, 5));
        jw_kv_i64(w, "ttl_seconds", query_i64(q, 6));
        jw_end(w);
    }
    jw_kv_str_or_null(w, "logo", query_str_or_null(q, 7));
    jw_end(w);
}

struct project_list {
    const struct principal *who;
    const struct page *page;
};

/* An admin sees all. Others see two lists in the order of names, which SQLite merges: one as long
 * as his memberships, and the public ones out of an index; so a page costs a page. */
static int open_projects(struct query *q, struct state_db *db, const struct project_list *l,
                         struct err *e)
{
    const struct page *p = l->page;

    if (l->who->is_admin) {
        return query_open(
            q, db, e,
            "SELECT name, public, NULL, created_ms, description, proxy_registry, "
            "proxy_ttl_sec, " LOGO(
                "projects.id") " FROM projects "
                               "WHERE deleting = 0 AND name > ? AND "
                               "has_words(?, name, description) ORDER BY name LIMIT ?",
            "ssi", p->after, p->q, p->limit + 1);
    }
    return query_open(
        q, db, e,
        WITH_READ
        "SELECT p.name, p.public, his.rank, p.created_ms, p.description, "
        "p.proxy_registry, p.proxy_ttl_sec, " LOGO(
            "p.id") " FROM his "
                    "JOIN projects p ON p.id = his.project_id "
                    "WHERE p.deleting = 0 AND p.name > ?2 AND "
                    "has_words(?3, p.name, p.description) "
                    "UNION ALL SELECT name, public, NULL, created_ms, description, "
                    "proxy_registry, proxy_ttl_sec, " LOGO(
                        "projects.id") " FROM projects "
                                       "WHERE public = 1 AND deleting = 0 AND name > ?2 AND "
                                       "has_words(?3, name, description) "
                                       "AND id NOT IN (SELECT project_id FROM his) ORDER BY 1 "
                                       "LIMIT ?4",
        "issi", l->who->user_id, p->after, p->q, p->limit + 1);
}

static int write_projects(struct state_db *db, void *ctx, struct err *e)
{
    const struct project_list *l = ctx;
    SCOPED(query_done) struct query q = {0};
    struct jw w = JW(l->page->out);
    char last[NAME_SIZE] = "";
    int64_t n = 0;
    int r;

    if (open_projects(&q, db, l, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_key(&w, "items");
    jw_array(&w);
    while ((r = query_step(&q, e)) > 0 && n++ < l->page->limit) {
        (void)!str_copy(query_str(&q, 0), last, sizeof(last));
        access_project_row(&w, &q, l->who);
    }
    jw_end(&w);
    jw_kv_c(&w, "next", r > 0 ? last : NULL);
    jw_end(&w);
    return r < 0 ? -1 : 0;
}

int access_projects_page(struct access *a, const struct principal *who, const struct page *p,
                         struct err *e)
{
    return state_read(a->state, write_projects, &(struct project_list){who, p}, e);
}

static int write_project(struct state_db *db, void *ctx, struct err *e)
{
    struct one_project *p = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, SELECT_PROJECTS "AND p.name = ?3", "iis", p->who->user_id,
                   (int64_t)p->who->is_admin, p->name) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return access_err_no_project(p->name, e);
    }
    access_project_row(p->w, &q, p->who);
    return 0;
}

int access_project_json(struct access *a, const struct principal *who, struct str name,
                        struct jw *w, struct err *e)
{
    return state_read(a->state, write_project,
                      &(struct one_project){.name = name, .who = who, .w = w}, e);
}

struct visible {
    const struct principal *who;
    struct str from;
    struct project_refs *out;
};

/* Two sorted lists that SQLite merges: one out of an index, the other as long as his memberships.
 * An admin sees all. */
static int open_visible(struct query *q, struct state_db *db, const struct visible *v,
                        struct err *e)
{
    if (v->who->is_admin) {
        return query_open(q, db, e,
                          "SELECT name || '/', id FROM projects WHERE deleting = 0 "
                          "AND name || '/' >= ? ORDER BY 1 LIMIT ?",
                          "si", v->from, (int64_t)v->out->max);
    }
    return query_open(q, db, e,
                      WITH_PULL
                      "SELECT name || '/', id FROM projects WHERE public = 1 AND deleting = 0 "
                      "AND name || '/' >= ?2 "
                      "UNION SELECT p.name || '/', p.id FROM his "
                      "JOIN projects p ON p.id = his.project_id "
                      "WHERE p.deleting = 0 AND p.name || '/' >= ?2 ORDER BY 1 LIMIT ?3",
                      "isi", v->who->user_id, v->from, (int64_t)v->out->max);
}

static int read_visible(struct state_db *db, void *ctx, struct err *e)
{
    const struct visible *v = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    v->out->n = 0;
    if (open_visible(&q, db, v, e) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str name = query_str(&q, 0);

        v->out->refs[v->out->n++] = (struct project_ref){
            arena_str(v->out->arena, str_first(name, name.len - 1)), query_i64(&q, 1)};
    }
    return r;
}

int access_visible(struct access *a, const struct principal *who, struct str from,
                   struct project_refs *out, struct err *e)
{
    return state_read(a->state, read_visible, &(struct visible){who, from, out}, e);
}
