/* Repositories and projects that go: a part of their images in each transaction, so that a large
 * one neither keeps others from pushing nor fills the log of the database. The newest go first:
 * what lists or signs an image mostly goes before it. Nothing is pushed into a repository while it
 * goes (repositories.going): it would go too, or refer to what does. */
#include "labels.h"
#include "store_priv.h"

#include "access/access.h"

struct drop_op {
    struct tag_drop tag;
    int64_t repository_id, last_id; /* what was pushed later is not meant */
    bool has_more;
};

/* --- steps --- */

/* From last_id down: how far one transaction goes. 0: nothing is left. */
static int find_step(struct state_db *db, const struct drop_op *op, int64_t *first, int64_t *last,
                     struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int64_t bytes = 0, n = 0;
    int r;

    if (query_open(
            &q, db, e,
            "SELECT id, length(body) FROM " SQL_MANIFESTS_BY_ID "<= ?2 ORDER BY id DESC LIMIT ?3",
            "iii", op->repository_id, op->last_id, (int64_t)LIMIT_TRASH_ENTRY_MANIFESTS) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        bytes += query_i64(&q, 1);
        if (n > 0 && bytes > (int64_t)LIMIT_TRASH_ENTRY_BYTES) {
            return 1;
        }
        *first = query_i64(&q, 0);
        *last = n++ == 0 ? *first : *last;
    }
    return r < 0 ? -1 : n > 0;
}

static int step_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct drop_op *op = ctx;
    int64_t first = 0, last = 0;
    int found = find_step(db, op, &first, &last, e);

    op->has_more = found > 0;
    if (found < 0) {
        return -1;
    }
    if (found == 0) {
        return state_run(db, e,
                         "DELETE FROM repositories WHERE id = ?1 AND NOT EXISTS"
                         " (SELECT 1 FROM manifests WHERE repository_id = ?1)",
                         "i", op->repository_id);
    }
    return db_trash(db, op->tag.r,
                    &(struct going){.repository_id = op->repository_id,
                                    .first_id = first,
                                    .last_id = last,
                                    .is_whole = true,
                                    .by = op->tag.by},
                    e) < 0
               ? -1
               : state_run(db, e, "DELETE FROM " SQL_MANIFESTS_BY_ID "BETWEEN ?2 AND ?3", "iii",
                           op->repository_id, first, last);
}

static int set_going(struct state_db *db, const struct drop_op *op, int64_t going, struct err *e)
{
    return state_run(db, e, "UPDATE repositories SET going = ? WHERE id = ?", "ii", going,
                     op->repository_id);
}

static int gone_on_fn(struct state_db *db, void *ctx, struct err *e)
{
    return set_going(db, ctx, 0, e);
}

static int drop_rest(struct drop_op *op, struct err *e)
{
    while (op->has_more) {
        if (atomic_load(&op->tag.r->is_closing)) {
            return err_set(e, ERR_UNAVAILABLE, "the server stopped before the end: try again");
        }
        if (state_write(op->tag.r->state, step_fn, op, e) < 0) {
            struct err ignored;

            (void)!state_write(op->tag.r->state, gone_on_fn, op, &ignored); /* what is left stays */
            return -1;
        }
    }
    return 0;
}

static int recover_fn(struct state_db *db, void *ctx UNUSED, struct err *e)
{
    return state_run(db, e, "UPDATE repositories SET going = 0 WHERE going = 1", "");
}

int store_drop_recover(struct registry *r, struct err *e)
{
    return state_write(r->state, recover_fn, NULL, e);
}

/* --- a repository --- */

/* The first step; a small repository goes with it. */
static int first_step(struct state_db *db, struct drop_op *op, struct err *e)
{
    int64_t more;

    if (step_fn(db, op, e) < 0 ||
        state_one_i64(db, &more, e, "rows",
                      "SELECT EXISTS (SELECT 1 FROM manifests WHERE repository_id = ?)", "i",
                      op->repository_id) < 0) {
        return -1;
    }
    return more ? set_going(db, op, 1, e) : step_fn(db, op, e);
}

/* May it go? Whoever is to be told is told with the first step. */
static int begin_drop(struct state_db *db, struct drop_op *op, struct err *e)
{
    int64_t id = op->repository_id;

    if (db_tags_may_change(db, &(struct tags_named){.repository_id = id}, op->tag.code, e) < 0 ||
        db_tell_deleted(db, op->tag.r, id, op->tag.by,
                        "SELECT t.name, m.digest FROM manifests m LEFT JOIN tags t"
                        " ON t.manifest_id = m.id WHERE m.repository_id = ?1 AND ?2 = ''",
                        STR_EMPTY, e) < 0 ||
        state_one_i64(db, &op->last_id, e, "rows",
                      "SELECT coalesce(max(id), 0) FROM " SQL_MANIFESTS_BY_ID "> 0", "i", id) < 0) {
        return -1;
    }
    return first_step(db, op, e);
}

static int repository_drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct drop_op *op = ctx;

    return db_repository(db, op->tag.repository, &op->repository_id, op->tag.code, e) < 0
               ? -1
               : begin_drop(db, op, e);
}

int store_repository_drop(struct registry *r, struct str repository, struct str by, struct err *e)
{
    const char *code;
    struct drop_op op = {.tag = {.r = r, .repository = repository, .by = by, .code = &code}};

    return state_write(r->state, repository_drop_fn, &op, e) < 0 ? -1 : drop_rest(&op, e);
}

static int is_there(struct state_db *db, const char *sql, struct str repository, struct str tag,
                    int64_t *out, struct err *e)
{
    int64_t project_id;

    return access_project_find(db, name_project(repository), &project_id, e) < 0
               ? -1
               : state_one_i64(db, out, e, "rows", sql, "ssi", repository, tag, project_id);
}

static int err_both(const struct drop_op *op, struct err *e)
{
    return err_set(e, ERR_CONFLICT,
                   "there are the tag %.*s of %.*s and the repository %.*s/tags/%.*s: delete the "
                   "tag with DELETE /v2/%.*s/manifests/%.*s, or the manifests of the repository "
                   "with DELETE /v2/%.*s/tags/%.*s/manifests/DIGEST",
                   STR_ARG(op->tag.tag), STR_ARG(op->tag.repository), STR_ARG(op->tag.repository),
                   STR_ARG(op->tag.tag), STR_ARG(op->tag.repository), STR_ARG(op->tag.tag),
                   STR_ARG(op->tag.repository), STR_ARG(op->tag.tag));
}

static int tag_or_repository_drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct drop_op *op = ctx;
    int64_t tag = 0;

    if (is_there(db,
                 "SELECT EXISTS (SELECT 1 FROM repositories r JOIN tags t ON t.repository_id = r.id"
                 " WHERE r.name = ?1 AND t.name = ?2 AND r.project_id = ?3)",
                 op->tag.repository, op->tag.tag, &tag, e) < 0 ||
        is_there(db,
                 "SELECT coalesce((SELECT id FROM repositories WHERE name = ?1 || '/tags/' || ?2"
                 " AND project_id = ?3), 0)",
                 op->tag.repository, op->tag.tag, &op->repository_id, e) < 0) {
        return -1;
    }
    if (tag && op->repository_id) {
        return err_both(op, e);
    }
    if (!op->repository_id) {
        return db_tag_drop(db, &op->tag, e);
    }
    op->tag.digest[0] = '\0';
    return begin_drop(db, op, e);
}

int store_tag_or_repository_drop(struct registry *r, struct str repository, struct str tag,
                                 struct str by, char digest[CONTENT_DIGEST_MAX], struct err *e)
{
    const char *code;
    struct drop_op op = {.tag = {.r = r,
                                 .repository = repository,
                                 .tag = tag,
                                 .by = by,
                                 .digest = digest,
                                 .code = &code}};

    if (state_write(r->state, tag_or_repository_drop_fn, &op, e) < 0) {
        return -1;
    }
    return op.repository_id != 0 ? drop_rest(&op, e) : 0;
}

/* --- a project: nobody pushes into it any more --- */

struct project_drop {
    struct registry *r;
    int64_t id, repository_id;
    struct str name;
};

/* All names between "project/" and "project0", the byte after '/': also those that a project of the
 * same name left. */
static int next_repository_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct project_drop *op = ctx;

    return state_one_i64(db, &op->repository_id, e, "rows",
                         "SELECT coalesce((SELECT r.id FROM repositories r WHERE"
                         " r.name > ?1 || '/' AND r.name < ?1 || '0' AND EXISTS"
                         " (SELECT 1 FROM manifests WHERE repository_id = r.id) LIMIT 1), 0)",
                         "s", op->name);
}

static int project_drop_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct project_drop *op = ctx;

    return db_labels_project_gone(db, op->id, e) < 0 ||
                   state_run(db, e,
                             "DELETE FROM repositories WHERE name > ?1 || '/' AND name < ?1 || '0'",
                             "s", op->name) < 0 ||
                   state_run(db, e, "DELETE FROM registry_projects WHERE project_id = ?", "i",
                             op->id) < 0 ||
                   state_run(db, e, "DELETE FROM retention_runs WHERE project_id = ?", "i",
                             op->id) < 0
               ? -1
               : 0;
}

int store_project_drop(struct registry *r, int64_t project_id, struct str project, struct err *e)
{
    struct project_drop op = {.r = r, .id = project_id, .name = project};

    for (;;) {
        struct drop_op one = {
            .tag = {.r = r, .by = STR_EMPTY}, .last_id = INT64_MAX, .has_more = true};

        if (state_read(r->state, next_repository_fn, &op, e) < 0) {
            return -1;
        }
        if (op.repository_id == 0) {
            return state_write(r->state, project_drop_fn, &op, e);
        }
        one.repository_id = op.repository_id;
        if (drop_rest(&one, e) < 0) {
            return -1;
        }
    }
}
