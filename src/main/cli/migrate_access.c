/* Members by their names, and robots with new secrets. */
#include "main/cli/migrate.h"

#include "base/fs.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- members --- */

struct members {
    struct migration *m;
    const struct project *p;
    json_t *here;
};

/* Harbor's roles 4 and 5 are not here: nobody gets more than he had. */
static const struct {
    int64_t theirs, ours;
} roles[] = {{1, 1}, {2, 2}, {3, 3}, {4, 2}, {5, 0}};

/* Also when nobody may say: then the server does, when it is to be a member. */
static bool exists(struct migration *m, const char *kind, const char *name)
{
    struct err ignored = {0};

    return client_call(m->c->client, "GET", NULL, NULL, &ignored, "/api/v1/%s/%s", kind,
                       url_segment(name)) == 0 ||
           ignored.kind != ERR_NOT_FOUND;
}

/* A group of that name, empty: who is in it Harbor knows of its directory. */
static bool make_group(struct migration *m, const char *name)
{
    SCOPED(json_decrefp)
    json_t *body = json_pack("{s:s, s:i}", "group_name", name, "group_type", 2);

    if (!here_add(m, "group", name, "/usergroups", body)) {
        return false;
    }
    migrate_note(m, TODO, "group", name, "nobody is in it yet: strata group add %s USER",
                 shell_word(name));
    return true;
}

static bool is_member(const struct members *of, const char *type, const char *name)
{
    const json_t *one;
    size_t i;

    json_array_foreach(of->here, i, one)
    {
        if (strcmp(json_text(one, "entity_name"), name) == 0 &&
            strcmp(json_text(one, "entity_type"), type) == 0) {
            return true;
        }
    }
    return false;
}

static void add_member(const struct members *of, const char *type, const char *name, int64_t role)
{
    bool is_group = strcmp(type, "g") == 0;
    SCOPED(freep) char *path = xasprintf("/projects/%lld/members", (long long)of->p->id);
    SCOPED(freep) char *what = xasprintf("%s: %s", of->p->to, name);
    SCOPED(json_decrefp)
    json_t *body = json_pack("{s:I, s:{s:s}}", "role_id", (json_int_t)role,
                             is_group ? "member_group" : "member_user",
                             is_group ? "group_name" : "username", name);

    if (!exists(of->m, is_group ? "groups" : "users", name)) {
        if (!is_group) {
            migrate_note(of->m, SKIPPED, "member", what,
                         "no user here has this name: strata user create %s, and run this again",
                         shell_word(name));
            return;
        }
        if (!make_group(of->m, name)) {
            return;
        }
    }
    (void)here_add(of->m, "member", what, path, body);
}

static int bring_member(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct members *of = ctx;
    const char *name = json_text(row, "entity_name"), *type = json_text(row, "entity_type");
    SCOPED(freep) char *what = xasprintf("%s: %s", of->p->to, name);
    size_t i = 0;

    if (is_member(of, type, name)) {
        migrate_note(of->m, THERE, "member", what, "%s", "");
        return 0;
    }
    while (i < ARRAY_LEN(roles) && roles[i].theirs != json_number(row, "role_id")) {
        i++;
    }
    if (i == ARRAY_LEN(roles)) {
        migrate_note(of->m, SKIPPED, "member", what, "its role %lld is not known here",
                     (long long)json_number(row, "role_id"));
        return 0;
    }
    if (roles[i].ours > 0) {
        add_member(of, type, name, roles[i].ours);
    }
    if (roles[i].theirs == 4) {
        migrate_note(of->m, TODO, "member", what,
                     "Harbor's maintainer became a developer: strata project grant %s maintainer "
                     "-p %s gives more",
                     shell_word(name), shell_word(of->p->to));
    } else if (roles[i].theirs == 5) {
        migrate_note(of->m, SKIPPED, "member", what,
                     "a limited guest is not here: strata project grant %s guest -p %s lets him "
                     "see the members too",
                     shell_word(name), shell_word(of->p->to));
    }
    return 0;
}

void migrate_members(struct migration *m, const struct project *p)
{
    SCOPED(freep) char *there = xasprintf("/projects/%s/members", url_segment(p->name));
    SCOPED(freep) char *here = xasprintf("/projects/%lld/members", (long long)p->id);
    SCOPED(json_decrefp) json_t *have = NULL;
    struct members of = {.m = m, .p = p};
    struct err e = {0};

    if ((p->id != 0 && here_list(m, here, &have, &e) < 0) ||
        (of.here = have, source_each(m->from, there, bring_member, &of, &e) < 0)) {
        migrate_note(m, FAILED, "members", p->to, "%s", e.msg);
    }
}

/* --- the file of secrets: "robot$a+b<TAB>secret" lines, the last one of a robot counts --- */

static int read_secrets(struct migration *m, const char *path, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(16 * MIB);
    struct str rest;

    if (fs_read_fd(m->secrets_fd, path, &text, e) < 0) {
        return -1;
    }
    rest = buf_str(&text);
    while (rest.p != NULL && rest.len > 0) {
        struct str secret = str_cut(&rest, '\n'), robot = str_cut(&secret, '\t');
        SCOPED(freep) char *name = str_dup(robot);

        if (secret.p != NULL) {
            (void)json_object_set_new(m->known, name, json_stringn(secret.p, secret.len));
        }
    }
    return 0;
}

int migrate_secrets_open(struct migration *m, const char *path, struct err *e)
{
    struct stat st;

    m->known = json_object();
    m->secrets_fd = -1;
    if (path == NULL || m->is_dry) {
        return 0;
    }
    m->secrets_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (m->secrets_fd < 0 || fstat(m->secrets_fd, &st) < 0) {
        return err_sys(e, "%s", path);
    }
    if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
        return err_set(e, ERR_INVALID, "%s may be read by others: chmod 600 %s", path, path);
    }
    return read_secrets(m, path, e);
}

/* An empty secret: one is about to be made. "-": it was not. */
static int keep_secret(struct migration *m, const char *login, const char *secret, struct err *e)
{
    SCOPED(buf_done) struct buf line = BUF_MAX(8 * KIB);
    int result;

    if (m->secrets_fd < 0) {
        if (secret[0] != '\0' && strcmp(secret, "-") != 0) {
            (void)json_array_append_new(m->secrets,
                                        json_pack("{s:s, s:s}", "robot", login, "secret", secret));
        }
        return 0;
    }
    (void)buf_printf(&line, "%s\t%s\n", login, secret);
    result = fs_write_all(m->secrets_fd, buf_str(&line), e) < 0 ? -1
             : fsync(m->secrets_fd) < 0                         ? err_sys(e, "the file of secrets")
                                                                : 0;
    if (line.len > 0) {
        explicit_bzero(line.p, line.len);
    }
    return result;
}

/* --- robots --- */

struct robots {
    struct migration *m;
    const struct project *p; /* NULL: of the system */
    json_t *here;
};

/* What robots can be given is the server's to say: it tells what an administrator may. */
static void learn_rights(struct migration *m)
{
    SCOPED(json_decrefp) json_t *projects = NULL;
    struct err ignored = {0};

    if (m->robot_rights == NULL &&
        client_call(m->c->client, "GET", NULL, &projects, &ignored,
                    "/api/v2.0/projects?page_size=1") == 0 &&
        json_array_size(projects) > 0) {
        (void)!client_call(m->c->client, "GET", NULL, &m->robot_rights, &ignored,
                           "/api/v2.0/users/current/permissions?scope=/project/%lld",
                           (long long)json_number(json_array_get(projects, 0), "project_id"));
    }
}

static void rotate(struct migration *m, const json_t *robot, const char *login)
{
    SCOPED(json_decrefp) json_t *body = json_pack("{s:s}", "secret", "");
    SCOPED(json_decrefp) json_t *made = NULL;
    struct err e = {0};

    if (client_call(m->c->client, "PATCH", body, &made, &e, "/api/v2.0/robots/%lld",
                    (long long)json_number(robot, "id")) < 0 ||
        keep_secret(m, login, json_text(made, "secret"), &e) < 0) {
        migrate_note(m, FAILED, "robot", login, "%s", e.msg);
        return;
    }
    migrate_note(m, BROUGHT, "robot", login, "an earlier run was cut before its secret was kept");
}

static void add_robot(const struct robots *of, const char *login, json_t *body)
{
    SCOPED(json_decrefp) json_t *made = NULL;
    struct migration *m = of->m;
    struct err e = {0}, ignored;

    if (m->is_dry) {
        migrate_note(m, WOULD, "robot", login, "%s", "");
        return;
    }
    if (keep_secret(m, login, "", &e) < 0) {
        migrate_note(m, FAILED, "robot", login, "%s", e.msg);
        return;
    }
    if (client_call(m->c->client, "POST", body, &made, &e, "/api/v2.0/robots") < 0) {
        if (e.kind != ERR_UNAVAILABLE && e.kind != ERR_TIMEOUT) {
            (void)!keep_secret(m, login, "-", &ignored);
        }
        migrate_refused(m, "robot", login, &e);
        return;
    }
    if (keep_secret(m, login, json_text(made, "secret"), &e) < 0) {
        migrate_note(m, FAILED, "robot", login, "it is made, but its secret is not kept: %s",
                     e.msg);
        return;
    }
    migrate_note(m, BROUGHT, "robot", login, "%s", "");
}

/* A Harbor that does not know the question answers with all that it has. */
static bool belongs(const struct robots *of, const json_t *row)
{
    struct str name = str_of(json_text(row, "name"));
    ptrdiff_t plus = str_find_char(name, '+');
    struct str before = plus < 0 ? STR_EMPTY : str_first(name, (size_t)plus);
    const char *project =
        json_text(json_array_get(json_object_get(row, "permissions"), 0), "namespace");

    if (of->p == NULL) {
        return plus < 0;
    }
    /* robot$my-demo+ci is none of "demo", though its name ends alike. */
    return str_ends(before, str_of(of->p->name)) && before.len > strlen(of->p->name) &&
           (project[0] == '\0' || strcmp(project, of->p->name) == 0);
}

static int bring_robot(void *ctx, const json_t *row, struct err *e UNUSED)
{
    const struct robots *of = ctx;
    struct migration *m = of->m;
    const char *name = translate_robot_name(json_text(row, "name"));
    SCOPED(freep)
    char *login = of->p ? xasprintf("robot$%s+%s", of->p->to, name) : xasprintf("robot$%s", name);
    const json_t *have = here_find(of->here, "name", login), *kept;
    SCOPED(buf_done) struct buf left_out = BUF_MAX(16 * KIB);
    SCOPED(json_decrefp) json_t *body = NULL;

    if (!belongs(of, row)) {
        return 0;
    }
    if (have != NULL) {
        kept = json_object_get(m->known, login);
        if (kept != NULL && json_string_length(kept) == 0) {
            rotate(m, have, login);
        } else {
            migrate_note(m, THERE, "robot", login, "%s", "");
        }
        return 0;
    }
    if (name[0] == '\0' || strcspn(name, "\t\r\n") != strlen(name)) { /* a line of the file */
        migrate_note(m, SKIPPED, "robot", login, "no robot here can be called so");
        return 0;
    }
    learn_rights(m);
    body = translate_robot(row, m->maps, m->robot_rights, &left_out);
    if (body == NULL) {
        migrate_note(m, SKIPPED, "robot", login, "nothing is left that it may: %.300s",
                     left_out.len ? left_out.p : "it has no permissions");
        return 0;
    }
    /* Of the level that was asked for, whatever the row says. */
    (void)json_object_set_new(body, "level", json_string(of->p ? "project" : "system"));
    add_robot(of, login, body);
    if (left_out.len > 0) {
        migrate_note(m, TODO, "robot", login, "robots here cannot be given: %.300s", left_out.p);
    }
    return 0;
}

void migrate_robots(struct migration *m, const struct project *p)
{
    SCOPED(freep)
    char *there =
        p ? xasprintf("/robots?q=Level%%3Dproject%%2CProjectID%%3D%lld", (long long)p->there_id)
          : xstrdup("/robots?q=Level%3Dsystem");
    SCOPED(freep)
    char *here = p ? xasprintf("/robots?q=Level%%3Dproject%%2CProjectID%%3D%lld", (long long)p->id)
                   : xstrdup("/robots?q=Level%3Dsystem");
    SCOPED(json_decrefp) json_t *have = NULL;
    struct robots of = {.m = m, .p = p};
    struct err e = {0};

    if (((p == NULL || p->id != 0) && here_list(m, here, &have, &e) < 0) ||
        (of.here = have, source_each(m->from, there, bring_robot, &of, &e) < 0)) {
        migrate_note(m, FAILED, "robots", p ? p->to : "system", "%s", e.msg);
    }
}
