#include "access_priv.h"

#include "base/clock.h"
#include "net/http.h"
#include "state/state.h"

struct find_place {
    int64_t user_id;
    struct str project;
    struct place place;
};

static int read_place(struct state_db *db, void *ctx, struct err *e)
{
    struct find_place *f = ctx;
    SCOPED(query_done) struct query q = {0};
    struct err unknown;
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.id, p.public, m.role FROM projects p LEFT JOIN members m "
                   "ON m.project_id = p.id AND m.user_id = ? WHERE p.name = ? AND p.deleting = 0",
                   "is", f->user_id, f->project) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return 0;
    }
    f->place.project_id = query_i64(&q, 0);
    f->place.is_public = query_i64(&q, 1) != 0;
    if (!query_is_null(&q, 2) && role_parse_member(query_str(&q, 2), &f->place.member, &unknown)) {
        f->place.member = ROLE_NONE; /* a role of a newer version: nothing */
    }
    return 0;
}

int access_place(struct access *a, int64_t user_id, struct str project, struct place *out,
                 struct err *e)
{
    uint64_t epoch = atomic_load(&a->epoch);
    struct find_place f = {.user_id = user_id, .project = project};
    struct cache_key key;

    if (project.len == 0 || project.len > LIMIT_NAME_BYTES) {
        *out = (struct place){0};
        return 0;
    }
    key = access_cache_key(a, 'm', str_n((const char *)&user_id, sizeof(user_id)), project);
    if (!access_cache_get(a->places, &key, epoch, clock_mono_ms(), &f.place)) {
        if (state_read(a->state, read_place, &f, e) < 0) {
            return -1;
        }
        access_cache_put(a->places, &key, epoch, clock_mono_ms(), &f.place);
    }
    *out = f.place;
    return 0;
}

/* ROLE_NONE: the project does not exist for him. */
enum role access_role(const struct principal *who, const struct place *p)
{
    if (p->project_id == 0) {
        return ROLE_NONE;
    }
    if (who->is_admin) {
        return ROLE_ADMIN;
    }
    if (who->user_id != 0 && p->member != ROLE_NONE) {
        return p->member;
    }
    return p->is_public ? ROLE_ANONYMOUS : ROLE_NONE;
}

uint64_t access_permissions(struct access *a, const struct principal *who, struct str project)
{
    struct place p;
    struct err e;
    enum role role;

    if (access_place(a, who->user_id, project, &p, &e) < 0) {
        return 0; /* the state cannot be read: nothing is allowed */
    }
    role = access_role(who, &p);
    return role == ROLE_NONE ? 0 : role_permissions(role) & who->scopes;
}

int access_project_may(struct access *a, const struct principal *who, enum perm perm,
                       struct str name, int64_t *id, struct err *e)
{
    struct place p;
    enum role role;

    if (access_place(a, who->user_id, name, &p, e) < 0) {
        return -1;
    }
    role = access_role(who, &p);
    if (role == ROLE_NONE || !(role_permissions(role) & who->scopes & PERM_BIT(perm))) {
        return access_err_no_project(name, e);
    }
    *id = p.project_id;
    return 0;
}

/* Who signed in, as he is now. A password that was changed ends what came with the one before. */
static int principal_now(struct access *a, const struct principal *who, struct principal *now,
                         struct err *e)
{
    if (access_principal(a, who->user_id, now, e) < 0 ||
        (who->token_id != 0 && access_token_alive(a, who->token_id, e) < 0) ||
        (who->kind == PRINCIPAL_SESSION && access_session_alive(a, who, e) < 0)) {
        return -1;
    }
    if (who->kind == PRINCIPAL_PASSWORD && who->generation != now->generation) {
        return err_set(e, ERR_UNAUTHENTICATED, "the password was changed: sign in again");
    }
    now->is_admin = now->is_admin && who->is_admin;
    now->scopes = who->scopes;
    return 0;
}

/* What surely is not for him costs no look at who he is now: most events are for few. */
static bool may_concern(const struct principal *who, const struct http_audience *to)
{
    return (to->user_id == 0 || to->user_id == who->user_id) && who->scopes & PERM_BIT(to->perm) &&
           (perm_where(to->perm) != PERM_WHERE_SYSTEM || who->is_admin);
}

/* An admin also hears of projects that are gone. */
static bool concerns(struct access *a, const struct principal *now, const struct http_audience *to)
{
    return may_concern(now, to) && (perm_where(to->perm) != PERM_WHERE_PROJECT || now->is_admin ||
                                    access_permissions(a, now, to->project) & PERM_BIT(to->perm));
}

enum http_sight access_may_see(void *ctx, const struct principal *who,
                               const struct http_audience *to)
{
    struct principal now;
    struct err e;

    if (to && !may_concern(who, to)) {
        return HTTP_UNSEEN;
    }
    if (principal_now(ctx, who, &now, &e) < 0) {
        return e.kind == ERR_UNAUTHENTICATED ? HTTP_SIGNED_OUT : HTTP_UNSEEN;
    }
    return to && concerns(ctx, &now, to) ? HTTP_SEEN : HTTP_UNSEEN;
}

bool access_still_may(void *ctx, const struct principal *who, enum perm perm, struct str project)
{
    struct principal now;
    struct err e;

    return principal_now(ctx, who, &now, &e) == 0 &&
           (access_permissions(ctx, &now, project) & PERM_BIT(perm)) != 0;
}

static int err_sign_in(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "sign in first: strata login, or a token");
}

static int check_scope(const struct principal *who, enum perm perm, struct err *e)
{
    if (who->scopes & PERM_BIT(perm)) {
        return 0;
    }
    return err_set(e, ERR_FORBIDDEN, "this token does not have the scope %s", perm_name(perm));
}

static int authorize_system(const struct access *a, const struct principal *who, enum perm perm,
                            struct err *e)
{
    uint64_t may = role_permissions(who->is_admin ? ROLE_ADMIN : ROLE_NONE);

    if (who->user_id == 0) {
        return err_sign_in(e);
    }
    if (!a->users_create_projects && !who->is_admin) {
        may &= ~PERM_BIT(PERM_PROJECT_CREATE);
    }
    if (!(may & PERM_BIT(perm))) {
        return err_set(e, ERR_FORBIDDEN, "%s needs %s: ask an administrator", who->name,
                       perm_name(perm));
    }
    return check_scope(who, perm, e);
}

static int authorize_project(struct access *a, const struct principal *who, enum perm perm,
                             struct str project, struct err *e)
{
    struct place p;
    enum role role;
    uint64_t may;

    if (access_place(a, who->user_id, project, &p, e) < 0) {
        return -1;
    }
    role = access_role(who, &p);
    may = role == ROLE_NONE ? 0 : role_permissions(role);
    if (may & PERM_BIT(perm)) {
        return check_scope(who, perm, e);
    }
    if (who->user_id == 0) {
        return err_sign_in(e); /* also when there is no such project: nothing is told */
    }
    if (!(may & PERM_BIT(PERM_PROJECT_READ))) {
        return access_err_no_project(project, e);
    }
    return err_set(e, ERR_FORBIDDEN, "%s is %s in project \"%.*s\" and needs %s: ask a maintainer",
                   who->name, role == ROLE_ANONYMOUS ? "no member" : role_name(role),
                   STR_ARG(project), perm_name(perm));
}

int access_authorize(void *ctx, struct http_req *r, enum perm perm, struct str project,
                     struct err *e)
{
    const struct principal *who = &r->who;

    switch (perm_where(perm)) {
    case PERM_WHERE_NONE:
        return perm == PERM_PUBLIC || who->user_id != 0 ? 0 : err_sign_in(e);
    case PERM_WHERE_SYSTEM:
        return authorize_system(ctx, who, perm, e);
    case PERM_WHERE_PROJECT:
        return authorize_project(ctx, who, perm, project, e);
    }
    return err_set(e, ERR_INTERNAL, "permission %d has no place", (int)perm);
}
