#include "access_priv.h"

#include "base/clock.h"
#include "net/http.h"
#include "state/state.h"

struct find_place {
    int64_t user_id;
    struct str project;
    struct place place;
};

enum role access_role_of_rank(int64_t rank)
{
    static const enum role roles[] = {ROLE_NONE, ROLE_GUEST, ROLE_DEVELOPER, ROLE_MAINTAINER};

    return rank > 0 && rank < (int64_t)ARRAY_LEN(roles) ? roles[rank] : ROLE_NONE;
}

/* His own role and those of his groups, of which the highest counts; or what a robot was given. */
static int read_memberships(struct state_db *db, struct find_place *f, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    struct err unknown;
    int64_t rank = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT rank, permission FROM memberships WHERE user_id = ? AND project_id = ?",
                   "ii", f->user_id, f->place.project_id) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        enum perm p;

        rank = query_i64(&q, 0) > rank ? query_i64(&q, 0) : rank;
        if (!query_is_null(&q, 1) && perm_parse(query_str(&q, 1), &p, &unknown) == 0) {
            f->place.robot |=
                PERM_BIT(p) & access_robot_may(); /* one of a newer version: nothing */
        }
    }
    f->place.member = access_role_of_rank(rank);
    return r;
}

static int read_place(struct state_db *db, void *ctx, struct err *e)
{
    struct find_place *f = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT id, public FROM projects WHERE name = ? AND deleting = 0",
                   "s", f->project) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return 0;
    }
    f->place.project_id = query_i64(&q, 0);
    f->place.is_public = query_i64(&q, 1) != 0;
    return f->user_id == 0 ? 0 : read_memberships(db, f, e);
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

uint64_t access_rights(const struct principal *who, const struct place *p)
{
    enum role role = access_role(who, p);

    return ((role == ROLE_NONE ? 0 : role_permissions(role)) | p->robot) & who->scopes;
}

uint64_t access_permissions(struct access *a, const struct principal *who, struct str project)
{
    struct place p;
    struct err e;

    if (access_place(a, who->user_id, project, &p, &e) < 0) {
        return 0; /* the state cannot be read: nothing is allowed */
    }
    return access_rights(who, &p);
}

int access_project_may(struct access *a, const struct principal *who, enum perm perm,
                       struct str name, int64_t *id, struct err *e)
{
    struct place p;

    if (access_place(a, who->user_id, name, &p, e) < 0) {
        return -1;
    }
    if (!(access_rights(who, &p) & PERM_BIT(perm))) {
        return access_err_no_project(name, e);
    }
    *id = p.project_id;
    return 0;
}

/* A password that was changed, and a robot's secret, end what came with the one before. */
static bool is_outdated(const struct principal *who, const struct principal *now)
{
    return (who->kind == PRINCIPAL_PASSWORD || who->kind == PRINCIPAL_ROBOT) &&
           who->generation != now->generation;
}

/* Who signed in, as he is now. */
static int principal_now(struct access *a, const struct principal *who, struct principal *now,
                         struct err *e)
{
    if (access_principal(a, who->user_id, now, e) < 0 ||
        (who->token_id != 0 && access_token_alive(a, who->token_id, e) < 0) ||
        (who->kind == PRINCIPAL_SESSION && access_session_alive(a, who, e) < 0)) {
        return -1;
    }
    if (is_outdated(who, now)) {
        return err_set(e, ERR_UNAUTHENTICATED, "the password was changed: sign in again");
    }
    now->is_admin = now->is_admin && who->is_admin;
    now->scopes &= who->scopes;
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
    if (who->user_id < 0) {
        return err_set(e, ERR_FORBIDDEN, "%s needs %s, which no robot can be given", who->name,
                       perm_name(perm));
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
    struct principal unscoped = *who;
    struct place p;
    enum role role;
    uint64_t may;

    if (access_place(a, who->user_id, project, &p, e) < 0) {
        return -1;
    }
    if (access_rights(who, &p) & PERM_BIT(perm)) {
        return 0;
    }
    unscoped.scopes = PERM_ALL;
    may = access_rights(&unscoped, &p);
    if (may & PERM_BIT(perm)) {
        return check_scope(who, perm, e);
    }
    if (who->user_id == 0) {
        return err_sign_in(e); /* also when there is no such project: nothing is told */
    }
    if (p.robot != 0) {
        return err_set(e, ERR_FORBIDDEN,
                       "%s was not given %s in project \"%.*s\": ask a maintainer", who->name,
                       perm_name(perm), STR_ARG(project));
    }
    if (!(may & PERM_BIT(PERM_PROJECT_READ))) {
        return access_err_no_project(project, e);
    }
    role = access_role(who, &p);
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
        if (perm == PERM_PERSON && who->user_id < 0) {
            return err_set(e, ERR_FORBIDDEN, "%s is a robot: this is for people", who->name);
        }
        return perm == PERM_PUBLIC || who->user_id != 0 ? 0 : err_sign_in(e);
    case PERM_WHERE_SYSTEM:
        return authorize_system(ctx, who, perm, e);
    case PERM_WHERE_PROJECT:
        return authorize_project(ctx, who, perm, project, e);
    }
    return err_set(e, ERR_INTERNAL, "permission %d has no place", (int)perm);
}
