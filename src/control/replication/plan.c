/* What a run has to do: the source is listed, and each tag that the rule means becomes a task. */
#include "replication_priv.h"

#include "base/limits.h"
#include "base/map.h"
#include "registry/labels.h"
#include "registry/names.h"
#include "registry/store.h"

#include <string.h>

enum { REPOSITORIES_MAX = 100000, AT_ONCE = 500 };

struct plan {
    struct replication *r;
    const struct rule *rule;
    struct remote *remote;
    int64_t run_id;
    struct arena arena;
    VEC(struct str) repositories; /* of the source that the rule means */
    VEC(struct task_row) tasks;
    struct map tags; /* of the repository that is looked at; the value only says that it is there */
    struct str repository;
    size_t n_copies, looked; /* copies come in the order of the repositories, then deletions */
    size_t from, to;         /* the part of this transaction */
};

static int add(struct plan *p, struct str repository, struct str tag, bool deletes, struct err *e)
{
    struct task_row t = {.source = repository, .deletes = deletes};

    if (p->tasks.len == TASKS_MAX) {
        return err_set(e, ERR_LIMIT, "the rule means more than %d tags: make several rules of it",
                       TASKS_MAX);
    }
    t.reference = arena_str(&p->arena, tag);
    if (rule_destination(p->rule, &p->arena, repository, &t.destination, e) < 0) {
        return -1;
    }
    *vec_push(&p->tasks) = t;
    return 0;
}

/* Nothing that would be more than a name in an address. */
static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("._-/", c) != NULL))) {
            return false;
        }
    }
    return name.len > 0 && name.len <= LIMIT_REPO_NAME_BYTES && str_find(name, STR("..")) < 0 &&
           str_find(name, STR("//")) < 0 && name.p[0] != '/';
}

static int add_repository(struct plan *p, struct str name, struct err *e)
{
    if (p->repositories.len == REPOSITORIES_MAX) {
        return err_set(e, ERR_LIMIT, "the rule means more than %d repositories", REPOSITORIES_MAX);
    }
    *vec_push(&p->repositories) = arena_str(&p->arena, name);
    return 0;
}

/* --- the source --- */

static int local_tag(void *ctx, struct str repository, struct str tag, struct err *e)
{
    struct plan *p = ctx;

    if (!pattern_matches(&p->rule->repositories, repository)) {
        return 0;
    }
    if (p->repositories.len == 0 ||
        !str_eq(p->repositories.p[p->repositories.len - 1], repository)) {
        if (add_repository(p, repository, e) < 0) {
            return -1;
        }
    }
    return tag.len == 0 || !pattern_matches(&p->rule->tags, tag)
               ? 0
               : add(p, p->repositories.p[p->repositories.len - 1], tag, false, e);
}

static int remote_repository(void *ctx, struct str name, struct err *e)
{
    struct plan *p = ctx;

    return is_name(name) && pattern_matches(&p->rule->repositories, name)
               ? add_repository(p, name, e)
               : 0;
}

static int remote_tag(void *ctx, struct str tag, struct err *e)
{
    struct plan *p = ctx;
    struct err ignored;

    if (tag_check(tag, &ignored) < 0 || !pattern_matches(&p->rule->tags, tag)) {
        return 0;
    }
    return add(p, p->repository, tag, false, e);
}

static int list_remote_repositories(struct plan *p, struct err *e)
{
    if (p->rule->repositories.is_plain) { /* registries of the world have no catalog for us */
        struct str name = p->rule->repositories.text;

        return is_name(name) ? add_repository(p, name, e)
                             : err_set(e, ERR_INVALID,
                                       "%.*s is no name of a repository: lower-case letters, "
                                       "digits, . _ - and /",
                                       STR_ARG(name));
    }
    if (remote_catalog(p->remote, remote_repository, p, e) == 0) {
        return 0;
    }
    return e->kind == ERR_FORBIDDEN || e->kind == ERR_NOT_FOUND || e->kind == ERR_UNSUPPORTED
               ? err_wrap(e, "it does not list its repositories to this user: make a rule for each "
                             "repository, by its name without wildcards")
               : -1;
}

static int list_remote(struct plan *p, struct err *e)
{
    if (list_remote_repositories(p, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < p->repositories.len; i++) {
        p->repository = p->repositories.p[i];
        if (p->rule->tags.is_plain && !p->rule->mirror_deletions) {
            if (add(p, p->repository, p->rule->tags.text, false, e) < 0) {
                return -1;
            }
        } else if (remote_tags(p->remote, p->repository, remote_tag, p, e) < 0 &&
                   (e->kind != ERR_NOT_FOUND || p->rule->repositories.is_plain)) {
            return -1;
        }
    }
    return 0;
}

/* --- what is at the destination and no longer at the source --- */

static int surplus(struct plan *p, struct str tag, struct err *e)
{
    return tag.len == 0 || !pattern_matches(&p->rule->tags, tag) || map_get(&p->tags, tag) != NULL
               ? 0
               : add(p, p->repository, tag, true, e);
}

static int surplus_there(void *ctx, struct str tag, struct err *e)
{
    return surplus(ctx, tag, e);
}

static int surplus_here(void *ctx, struct str repository UNUSED, struct str tag, struct err *e)
{
    return surplus(ctx, tag, e);
}

static int find_surplus(struct plan *p, struct str repository, struct err *e)
{
    struct str destination;
    int result;

    p->repository = repository;
    if (rule_destination(p->rule, &p->arena, repository, &destination, e) < 0) {
        return -1;
    }
    while (p->looked < p->n_copies && str_eq(p->tasks.p[p->looked].source, repository)) {
        (void)map_put(&p->tags, p->tasks.p[p->looked++].reference, p);
    }
    result = p->rule->direction == PULLS
                 ? store_each_tag(p->r->registry, destination, surplus_here, p, e)
                 : remote_tags(p->remote, destination, surplus_there, p, e);
    map_done(&p->tags);
    return result == 0 || e->kind == ERR_NOT_FOUND ? 0 : -1;
}

/* A source where nothing is left is more likely one that has lost its names: nothing is deleted. */
static int plan_deletions(struct plan *p, struct err *e)
{
    p->n_copies = p->tasks.len;
    for (size_t i = 0; p->n_copies > 0 && i < p->repositories.len; i++) {
        if (find_surplus(p, p->repositories.p[i], e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- writing it down --- */

static int part_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct plan *p = ctx;

    for (size_t i = p->from; i < p->to; i++) {
        if (task_add(db, p->run_id, &p->tasks.p[i], e) < 0) {
            return -1;
        }
    }
    return p->to < p->tasks.len
               ? 0
               : state_run(db, e,
                           "UPDATE replication_runs SET planned = 1, tries = 0, error = NULL"
                           " WHERE id = ?",
                           "i", p->run_id);
}

static int clear_fn(struct state_db *db, void *ctx, struct err *e)
{
    return state_run(db, e, "DELETE FROM replication_tasks WHERE run_id = ?", "i",
                     ((const struct plan *)ctx)->run_id);
}

static int write_down(struct plan *p, struct err *e)
{
    if (state_write(p->r->state, clear_fn, p, e) < 0) {
        return -1;
    }
    do {
        p->from = p->to;
        p->to = p->tasks.len - p->from > AT_ONCE ? p->from + AT_ONCE : p->tasks.len;
        if (state_write(p->r->state, part_fn, p, e) < 0) {
            return -1;
        }
    } while (p->to < p->tasks.len);
    return 0;
}

int plan_run(struct replication *r, const struct rule *rule, struct remote *remote, int64_t run_id,
             struct err *e)
{
    struct plan p = {.r = r, .rule = rule, .remote = remote, .run_id = run_id};
    struct str labels;
    int result = label_names_parse(&p.arena, rule->labels, &labels, e) < 0 ? -1
                 : rule->direction == PULLS
                     ? list_remote(&p, e)
                     : store_each_tag_with(r->registry, labels, local_tag, &p, e);

    if (result == 0 && rule->mirror_deletions) {
        result = plan_deletions(&p, e);
    }
    if (result == 0) {
        result = write_down(&p, e);
    }
    vec_done(&p.repositories);
    vec_done(&p.tasks);
    arena_done(&p.arena);
    return result;
}
