/* Robots by their ids. What one may is a list of {resource, action} in Harbor, permissions here:
 * one table says which is which. */
#include "harbor_priv.h"

#include "base/clock.h"

#include <string.h>

/* The first row of a permission is how it is told back. */
static const struct {
    const char *resource, *action;
    enum perm perm;
} accesses[] = {
    {"repository", "pull", PERM_IMAGE_PULL},     {"repository", "push", PERM_IMAGE_PUSH},
    {"repository", "delete", PERM_IMAGE_DELETE}, {"project", "read", PERM_PROJECT_READ},
    {"member", "list", PERM_MEMBER_READ},        {"repository", "read", PERM_IMAGE_PULL},
    {"repository", "list", PERM_IMAGE_PULL},     {"artifact", "read", PERM_IMAGE_PULL},
    {"artifact", "list", PERM_IMAGE_PULL},       {"artifact", "create", PERM_IMAGE_PUSH},
    {"artifact", "delete", PERM_IMAGE_DELETE},   {"tag", "list", PERM_IMAGE_PULL},
    {"tag", "create", PERM_IMAGE_PUSH},          {"tag", "delete", PERM_IMAGE_DELETE},
    {"accessory", "list", PERM_IMAGE_PULL},      {"member", "read", PERM_MEMBER_READ},
    {"quota", "read", PERM_MEMBER_READ},
};

enum { DAY_MS = 24 * 3600 * 1000, DAYS_MAX = 36500 };

#define ROBOT_COLUMNS "r.id, r.name, p.name, r.description, r.disabled, r.created_ms, r.expires_ms"
/* ?1 a project's id; 0: those of the system; -1: all. ?2 the name whole, ?3 a part. */
#define FROM_ROBOTS                                                                                \
    " FROM robots r LEFT JOIN projects p ON p.id = r.project_id"                                   \
    " WHERE (?1 = -1 OR coalesce(r.project_id, 0) = ?1) AND (?2 IS NULL OR r.name = ?2"            \
    " OR 'robot$' || coalesce(p.name || '+', '') || r.name = ?2) AND instr(r.name, ?3)"

static bool is_first(size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (accesses[i].perm == accesses[row].perm) {
            return false;
        }
    }
    return true;
}

static void write_access(struct jw *w, uint64_t perms)
{
    jw_key(w, "access");
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
        if (perms & PERM_BIT(accesses[i].perm) && is_first(i)) {
            jw_object(w);
            jw_kv_c(w, "resource", accesses[i].resource);
            jw_kv_c(w, "action", accesses[i].action);
            jw_kv_c(w, "effect", "allow");
            jw_end(w);
        }
    }
    jw_end(w);
}

static void write_permission(struct jw *w, const char *space, uint64_t perms)
{
    jw_object(w);
    jw_kv_c(w, "kind", "project");
    jw_kv_c(w, "namespace", space);
    write_access(w, perms);
    jw_end(w);
}

static int write_permissions(struct state_db *db, int64_t id, struct jw *w, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    char space[NAME_SIZE] = "";
    uint64_t perms = 0;
    int r;

    if (query_open(&q, db, e,
                   "SELECT coalesce(p.name, '*') AS space, g.permission FROM robot_grants g"
                   " LEFT JOIN projects p ON p.id = g.project_id WHERE g.robot_id = ?"
                   " ORDER BY space",
                   "i", id) < 0) {
        return -1;
    }
    jw_key(w, "permissions");
    jw_array(w);
    while ((r = query_step(&q, e)) > 0) {
        struct err unknown;
        enum perm p;

        if (space[0] != '\0' && !str_eq_c(query_str(&q, 0), space)) {
            write_permission(w, space, perms);
            perms = 0;
        }
        (void)!str_copy(query_str(&q, 0), space, sizeof(space));
        perms |= perm_parse(query_str(&q, 1), &p, &unknown) == 0 ? PERM_BIT(p) : 0;
    }
    if (space[0] != '\0') {
        write_permission(w, space, perms);
    }
    jw_end(w);
    return r;
}

/* In whole days, rounded up; -1: for ever. */
static int64_t days(int64_t created_ms, int64_t expires_ms)
{
    return expires_ms == 0 ? -1 : (expires_ms - created_ms + DAY_MS - 1) / DAY_MS;
}

static int write_robot(struct state_db *db, const struct query *q, struct jw *w, struct err *e)
{
    bool of_project = !query_is_null(q, 2);
    int64_t expires_ms = query_i64(q, 6);
    char login[LIMIT_LOGIN_BYTES + 1];

    access_robot_login(of_project ? query_str(q, 2) : STR_EMPTY, query_str(q, 1), login);
    jw_object(w);
    jw_kv_i64(w, "id", query_i64(q, 0));
    jw_kv_c(w, "name", login);
    jw_kv_str(w, "description", query_str(q, 3));
    jw_kv_c(w, "level", of_project ? "project" : "system");
    jw_kv_bool(w, "disable", query_i64(q, 4) != 0);
    jw_kv_bool(w, "editable", true);
    jw_kv_i64(w, "duration", days(query_i64(q, 5), expires_ms));
    jw_kv_i64(w, "expires_at", expires_ms == 0 ? -1 : expires_ms / 1000);
    jw_kv_time(w, "creation_time", query_i64(q, 5));
    jw_kv_time(w, "update_time", query_i64(q, 5));
    if (write_permissions(db, query_i64(q, 0), w, e) < 0) {
        return -1;
    }
    jw_end(w);
    return 0;
}

struct robots {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t project_id;
};

static int fill_robots(struct state_db *db, void *ctx, struct err *e)
{
    struct robots *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    struct str name = harbor_list_exact(l, "name"), part = harbor_list_part(l, "name");
    int r;

    if (state_one_i64(db, &l->total, e, "", "SELECT count(*)" FROM_ROBOTS, "iss", of->project_id,
                      name, part) < 0 ||
        query_open(&q, db, e,
                   "SELECT " ROBOT_COLUMNS FROM_ROBOTS " ORDER BY r.id LIMIT ?4 OFFSET ?5", "issii",
                   of->project_id, name, part, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (write_robot(db, &q, &l->w, e) < 0) {
            return -1;
        }
    }
    return r;
}

/* q=Level=project,ProjectID=3: those of the system unless it says so. */
int harbor_robots(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", "Level", "ProjectID", NULL};
    struct robots of = {0};
    struct str level, project;
    uint64_t id = 0;

    if (harbor_list_begin(&of.list, r, keys, e) < 0) {
        return -1;
    }
    level = harbor_list_exact(&of.list, "Level");
    project = harbor_list_exact(&of.list, "ProjectID");
    if (str_eq_c(level, "project") && (str_to_u64(project, &id) < 0 || id > INT64_MAX || id == 0)) {
        return err_set(e, ERR_INVALID, "q: Level=project needs ProjectID=<number>");
    }
    of.project_id = (int64_t)id;
    return harbor_list_reply(&of.list, fill_robots, e);
}

int harbor_project_robots(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {"name", NULL};
    struct robots of = {0};

    return harbor_project_id(r, &of.project_id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_robots, e);
}

struct one {
    int64_t id;
    struct str within;        /* a project: where it must be kept; empty: anywhere */
    struct str project, name; /* in the arena */
    struct arena *arena;
    struct jw *w; /* or NULL */
};

static int robot_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " ROBOT_COLUMNS
                   " FROM robots r LEFT JOIN projects p ON p.id = r.project_id WHERE r.id = ?",
                   "i", o->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0 || (o->within.len > 0 && !str_eq(query_str(&q, 2), o->within))) {
        return err_set(e, ERR_NOT_FOUND, "there is no robot of that id");
    }
    o->name = arena_str(o->arena, query_str(&q, 1));
    o->project = query_is_null(&q, 2) ? STR_EMPTY : arena_str(o->arena, query_str(&q, 2));
    return o->w ? write_robot(db, &q, o->w, e) : 0;
}

int harbor_robot(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(256 * 1024);
    struct jw w = JW(&b);
    struct one o = {.within = r->project, .arena = &r->arena, .w = &w};

    return harbor_path_id(r, "id", &o.id, e) < 0
               ? -1
               : harbor_reply_and_free(r, 200, &b, state_read(h->state, robot_fn, &o, e), e);
}

/* The robot of the path and where it is kept. */
static int robot_of(struct http_req *r, struct one *o, struct robot_home *home, struct err *e)
{
    const struct harbor *h = r->ctx;

    *o = (struct one){.within = r->project, .arena = &r->arena};
    if (harbor_path_id(r, "id", &o->id, e) < 0 || state_read(h->state, robot_fn, o, e) < 0) {
        return -1;
    }
    r->project = o->project; /* for the audit */
    r->audit_note = o->name;
    return access_robot_home(h->access, &r->who, o->project, home, e);
}

/* --- bodies --- */

/* "/project/3/repository" was the name of a resource when robots were made in their projects. */
static struct str resource_name(struct str s)
{
    struct str rest = s;

    if (!str_starts(s, STR("/project/"))) {
        return s;
    }
    (void)str_cut(&rest, '/');
    (void)str_cut(&rest, '/');
    (void)str_cut(&rest, '/');
    return rest;
}

static int parse_access(const json_t *list, uint64_t *perms, struct err *e)
{
    size_t i;
    json_t *item;

    *perms = 0;
    json_array_foreach(list, i, item)
    {
        struct str resource = STR_EMPTY, action = STR_EMPTY;
        size_t row = 0;

        if (!json_is_object(item) || json_need_str(item, "resource", &resource, e) < 0 ||
            json_need_str(item, "action", &action, e) < 0) {
            return err_set(e, ERR_INVALID, "access[%zu]: give resource and action", i);
        }
        resource = resource_name(resource);
        while (row < ARRAY_LEN(accesses) && !(str_eq_c(resource, accesses[row].resource) &&
                                              str_eq_c(action, accesses[row].action))) {
            row++;
        }
        if (row == ARRAY_LEN(accesses)) {
            return err_set(e, ERR_INVALID, "access[%zu]: no robot here can be given %.*s %.*s", i,
                           STR_ARG(str_first(action, 64)), STR_ARG(str_first(resource, 64)));
        }
        *perms |= PERM_BIT(accesses[row].perm);
    }
    return *perms != 0 ? 0 : err_set(e, ERR_INVALID, "access: say what the robot may");
}

static int parse_permission(const json_t *item, struct robot_grant *out, struct err *e)
{
    struct str kind = STR("project");

    if (!json_is_object(item)) {
        return err_set(e, ERR_INVALID, "give {\"kind\", \"namespace\", \"access\"}");
    }
    if (json_get_str(item, "kind", &kind, e) < 0 ||
        json_need_str(item, "namespace", &out->project, e) < 0) {
        return -1;
    }
    if (!str_eq_c(kind, "project")) {
        return err_set(e, ERR_INVALID, "kind: robots here are given permissions in projects");
    }
    return parse_access(json_object_get(item, "access"), &out->perms, e);
}

static int parse_permissions(struct http_req *r, const json_t *list, struct robot_change *c,
                             struct err *e)
{
    size_t i, n = json_array_size(list);
    struct robot_grant *grants;
    json_t *item;

    if (n == 0 || n > LIMIT_ROBOT_GRANTS) {
        return err_set(e, ERR_INVALID, "permissions: give a list of 1 to %d", LIMIT_ROBOT_GRANTS);
    }
    grants = arena_new_array(&r->arena, struct robot_grant, n);
    json_array_foreach(list, i, item)
    {
        if (parse_permission(item, &grants[i], e) < 0) {
            return err_wrap(e, "permissions[%zu]", i);
        }
        for (size_t before = 0; before < i; before++) {
            if (str_eq(grants[before].project, grants[i].project)) {
                return err_set(e, ERR_INVALID, "permissions[%zu]: this project was named before",
                               i);
            }
        }
    }
    c->grants = grants;
    c->n_grants = n;
    return 0;
}

/* duration: whole days from now; -1: for ever. */
static int parse_change(struct http_req *r, const json_t *body, struct robot_change *c,
                        struct err *e)
{
    int64_t duration = -1;
    bool disabled = false;

    if (json_get_str(body, "description", &c->description, e) < 0 ||
        access_check_description(c->description, e) < 0 ||
        json_get_bool(body, "disable", &disabled, e) < 0 ||
        json_get_i64(body, "duration", &duration, e) < 0) {
        return -1;
    }
    if (duration != -1 && (duration < 1 || duration > DAYS_MAX)) {
        return err_set(e, ERR_INVALID, "duration: give days, 1 to %d, or -1 for ever", DAYS_MAX);
    }
    if (json_object_get(body, "disable")) {
        c->disabled = disabled ? CHANGE_SET : CHANGE_CLEAR;
    }
    c->expires_ms = duration == -1 ? 0 : clock_wall_ms() + duration * DAY_MS;
    return parse_permissions(r, json_object_get(body, "permissions"), c, e);
}

/* A robot of a project lies in the one that its permissions name. */
static int home_of(struct http_req *r, const json_t *body, const struct robot_change *c,
                   struct robot_home *out, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str level = STR_EMPTY;

    if (json_need_str(body, "level", &level, e) < 0) {
        return -1;
    }
    if (str_eq_c(level, "system")) {
        return access_robot_home(h->access, &r->who, STR_EMPTY, out, e);
    }
    if (!str_eq_c(level, "project") || c->n_grants != 1) {
        return err_set(e, ERR_INVALID,
                       "level: give system, or project with permissions in that one project");
    }
    r->project = arena_str(&r->arena, c->grants[0].project); /* for the audit */
    return access_robot_home(h->access, &r->who, r->project, out, e);
}

static int named_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct one *o = ctx;

    return state_one_i64(db, &o->id, e, "the robot is gone",
                         "SELECT r.id FROM robots r LEFT JOIN projects p ON p.id = r.project_id"
                         " WHERE r.name = ? AND coalesce(p.name, '') = ?",
                         "ss", o->name, o->project);
}

/* What is shown once. It is at the path where it was made. */
static int reply_made(struct http_req *r, const struct robot_home *home, struct str name,
                      const struct robot_change *c, char secret[TOKEN_SIZE], struct err *e)
{
    const struct harbor *h = r->ctx;
    struct one o = {.name = name, .project = home->project};
    char login[LIMIT_LOGIN_BYTES + 1];
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct str path = r->path;
    int result = state_read(h->state, named_fn, &o, e);

    access_robot_login(home->project, name, login);
    jw_object(&w);
    jw_kv_i64(&w, "id", o.id);
    jw_kv_c(&w, "name", login);
    jw_kv_c(&w, "secret", secret);
    jw_kv_time(&w, "creation_time", clock_wall_ms());
    jw_kv_i64(&w, "expires_at", c->expires_ms == 0 ? -1 : c->expires_ms / 1000);
    jw_end(&w);
    explicit_bzero(secret, TOKEN_SIZE);
    http_set_header(r, "Cache-Control", "no-store");
    http_set_header(r, "Location", "%.*s/%lld", STR_ARG(path), (long long)o.id);
    return harbor_reply_and_free(r, 201, &b, result, e);
}

/* --- changes --- */

int harbor_robot_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct robot_change c = {.has_expiry = true};
    struct robot_home home;
    char secret[TOKEN_SIZE];
    struct str name;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "name", &name, e) < 0 ||
        parse_change(r, body, &c, e) < 0 || home_of(r, body, &c, &home, e) < 0 ||
        access_robot_add(h->access, &home, r->who.name, name, &c, secret, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, name);
    return reply_made(r, &home, name, &c, secret, e);
}

/* Robots of a project, for those who manage it. expires_at: seconds since 1970. */
int harbor_project_robot_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct robot_grant grant = {.project = r->project};
    struct robot_change c = {.has_expiry = true, .grants = &grant, .n_grants = 1};
    struct robot_home home;
    char secret[TOKEN_SIZE];
    int64_t expires = -1;
    struct str name;

    if (http_body_json(r, &body, e) < 0 || json_need_str(body, "name", &name, e) < 0 ||
        json_get_str(body, "description", &c.description, e) < 0 ||
        access_check_description(c.description, e) < 0 ||
        json_get_i64(body, "expires_at", &expires, e) < 0 ||
        parse_access(json_object_get(body, "access"), &grant.perms, e) < 0) {
        return -1;
    }
    if (expires > 0) {
        int64_t now = clock_wall_ms() / 1000;

        if (expires <= now || expires > now + (int64_t)DAYS_MAX * (DAY_MS / 1000)) {
            return err_set(e, ERR_INVALID,
                           "expires_at: give seconds since 1970, from now to %d days on, or -1 for "
                           "ever",
                           DAYS_MAX);
        }
        c.expires_ms = expires * 1000;
    }
    if (access_robot_home(h->access, &r->who, r->project, &home, e) < 0 ||
        access_robot_add(h->access, &home, r->who.name, name, &c, secret, e) < 0) {
        return -1;
    }
    r->audit_note = arena_str(&r->arena, name);
    return reply_made(r, &home, name, &c, secret, e);
}

/* Of all that a client sends back, only whether it is disabled. */
int harbor_project_robot_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct robot_change c = {0};
    struct robot_home home;
    bool disabled = false;
    struct one o;

    if (robot_of(r, &o, &home, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_bool(body, "disable", &disabled, e) < 0) {
        return -1;
    }
    c.disabled = disabled ? CHANGE_SET : CHANGE_CLEAR;
    return access_robot_change(h->access, &home, o.name, &c, e) < 0 ? -1
                                                                    : http_reply_empty(r, 200, e);
}

/* A robot stays where it is kept, and one of a project may nothing elsewhere. */
static int check_home(const json_t *body, const struct robot_change *c,
                      const struct robot_home *home, struct err *e)
{
    bool of_project = home->project.len > 0;
    struct str level = of_project ? STR("project") : STR("system");

    if (json_get_str(body, "level", &level, e) < 0) {
        return -1;
    }
    if (!str_eq_c(level, of_project ? "project" : "system")) {
        return err_set(e, ERR_INVALID, "level: a robot stays one of its %s",
                       of_project ? "project" : "system");
    }
    if (of_project && (c->n_grants != 1 || !str_eq(c->grants[0].project, home->project))) {
        return err_set(e, ERR_INVALID,
                       "permissions: this robot is kept in %.*s: give what it may there alone",
                       STR_ARG(home->project));
    }
    return 0;
}

/* A PUT says all of it; without a duration the end stays. */
int harbor_robot_change(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct robot_change c = {0};
    struct robot_home home;
    struct one o;

    if (robot_of(r, &o, &home, e) < 0 || http_body_json(r, &body, e) < 0 ||
        parse_change(r, body, &c, e) < 0 || check_home(body, &c, &home, e) < 0) {
        return -1;
    }
    c.has_expiry = json_object_get(body, "duration") != NULL;
    return access_robot_change(h->access, &home, o.name, &c, e) < 0 ? -1
                                                                    : http_reply_empty(r, 200, e);
}

/* Secrets are made here: one that somebody thought of is refused. */
int harbor_robot_secret(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct robot_home home;
    struct str asked = STR_EMPTY;
    char secret[TOKEN_SIZE];
    struct one o;

    if (robot_of(r, &o, &home, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_get_str(body, "secret", &asked, e) < 0) {
        return -1;
    }
    if (asked.len > 0) {
        return err_set(e, ERR_INVALID, "secret: leave it empty, and a new one is made");
    }
    if (access_robot_rotate(h->access, &home, o.name, secret, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_c(&w, "secret", secret);
    jw_end(&w);
    explicit_bzero(secret, sizeof(secret));
    http_set_header(r, "Cache-Control", "no-store");
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

int harbor_robot_delete(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct robot_home home;
    struct one o;

    return robot_of(r, &o, &home, e) < 0 || access_robot_delete(h->access, &home, o.name, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* --- what one may oneself --- */

/* ?scope=/project/ID; Harbor answers nothing without one. */
int harbor_permissions(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct str scope = http_query(r, "scope");
    char name[NAME_SIZE] = "";
    struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);
    uint64_t id, perms = 0;

    if (str_starts(scope.p ? scope : STR_EMPTY, STR("/project/")) &&
        str_to_u64(str_from(scope, strlen("/project/")), &id) == 0 && id <= INT64_MAX) {
        if (access_project_name(h->access, (int64_t)id, name, e) < 0) {
            return -1;
        }
        perms = access_permissions(h->access, &r->who, str_of(name));
    }
    jw_array(&w);
    for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
        if (perms & PERM_BIT(accesses[i].perm)) {
            jw_object(&w);
            jw_kv_c(&w, "resource", accesses[i].resource);
            jw_kv_c(&w, "action", accesses[i].action);
            jw_end(&w);
        }
    }
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
