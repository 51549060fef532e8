/* What the search over everything asks of access: which projects, and where else to look. */
#include "access_priv.h"

#include "base/json.h"
#include "base/vec.h"
#include "state/state.h"

#include <string.h>

struct project_search {
    const struct principal *who;
    struct str words;
    int64_t limit;
    struct jw *w;
};

static int read_projects(struct state_db *db, void *ctx, struct err *e)
{
    const struct project_search *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   SELECT_PROJECTS "AND has_words(?3, p.name) ORDER BY length(p.name), p.name "
                                   "LIMIT ?4",
                   "iisi", s->who->user_id, (int64_t)s->who->is_admin, s->words, s->limit) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        access_project_row(s->w, &q, s->who);
    }
    return r;
}

int access_search_projects(struct access *a, const struct principal *who, struct str words,
                           int64_t limit, struct jw *w, struct err *e)
{
    if (!(who->scopes & PERM_BIT(PERM_PROJECT_READ))) {
        return 0;
    }
    return state_read(a->state, read_projects, &(struct project_search){who, words, limit, w}, e);
}

struct scope {
    const struct principal *who;
    enum perm perm;
    struct jw *w;
};

static int read_scope(struct state_db *db, void *ctx, struct err *e)
{
    const struct scope *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.id, p.public, max(m.rank), m.permission FROM memberships m "
                   "JOIN projects p ON p.id = m.project_id WHERE m.user_id = ?1 "
                   "AND p.deleting = 0 AND (m.permission IS NULL OR m.permission = ?2) "
                   "GROUP BY p.id LIMIT ?3",
                   "izi", s->who->user_id, perm_name(s->perm), (int64_t)LIMIT_LIST_ROWS) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        const struct place p = {.project_id = query_i64(&q, 0),
                                .is_public = query_i64(&q, 1) != 0,
                                .member = access_role_of_rank(query_i64(&q, 2)),
                                .robot = query_is_null(&q, 3) ? 0 : PERM_BIT(s->perm)};

        if (access_rights(s->who, &p) & PERM_BIT(s->perm)) {
            jw_i64(s->w, p.project_id);
        }
    }
    return r;
}

int access_search_scope(struct access *a, const struct principal *who, enum perm perm,
                        struct buf *ids, struct err *e)
{
    struct jw w = JW(ids);
    int r;

    buf_clear(ids);
    if (who->is_admin && who->scopes & PERM_BIT(perm)) {
        return 0;
    }
    jw_array(&w);
    r = who->is_admin ? 0 : state_read(a->state, read_scope, &(struct scope){who, perm, &w}, e);
    jw_end(&w);
    return r;
}

struct names_of {
    const struct principal *who;
    enum perm perm;
    struct arena *arena;
    VEC(struct str) names;
};

static int read_names(struct state_db *db, void *ctx, struct err *e)
{
    struct names_of *s = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.id, p.name, max(m.rank), m.permission FROM memberships m "
                   "JOIN projects p ON p.id = m.project_id WHERE m.user_id = ?1 "
                   "AND p.deleting = 0 AND (m.permission IS NULL OR m.permission = ?2) "
                   "GROUP BY p.id ORDER BY p.name",
                   "iz", s->who->user_id, perm_name(s->perm)) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        const struct place p = {.project_id = query_i64(&q, 0),
                                .member = access_role_of_rank(query_i64(&q, 2)),
                                .robot = query_is_null(&q, 3) ? 0 : PERM_BIT(s->perm)};

        if (access_rights(s->who, &p) & PERM_BIT(s->perm)) {
            *vec_push(&s->names) = arena_str(s->arena, query_str(&q, 1));
        }
    }
    return r;
}

int access_projects_of(struct access *a, const struct principal *who, enum perm perm,
                       struct arena *arena, struct str **names, size_t *n, struct err *e)
{
    struct names_of s = {.who = who, .perm = perm, .arena = arena};
    int r;

    *n = 0;
    *names = NULL;
    if (who->is_admin && who->scopes & PERM_BIT(perm)) {
        return 1;
    }
    r = who->is_admin ? 0 : state_read(a->state, read_names, &s, e);
    if (r == 0 && s.names.len > 0) {
        *n = s.names.len;
        *names = arena_new_array(arena, struct str, *n);
        memcpy(*names, s.names.p, *n * sizeof(**names));
    }
    vec_done(&s.names);
    return r;
}

struct name_of {
    int64_t id;
    char *out;
};

static int read_name(struct state_db *db, void *ctx, struct err *e)
{
    const struct name_of *n = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT name FROM projects WHERE id = ? AND deleting = 0", "i",
                   n->id) < 0) {
        return -1;
    }
    r = query_step(&q, e);
    if (r > 0) {
        (void)!str_copy(query_str(&q, 0), n->out, NAME_SIZE);
    }
    return r < 0 ? -1 : 0;
}

int access_project_name(struct access *a, int64_t id, char out[65], struct err *e)
{
    out[0] = '\0';
    return state_read(a->state, read_name, &(struct name_of){id, out}, e);
}
