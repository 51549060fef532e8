/* What a project may hold and change: asked inside the transaction that would do it, so that pushes
 * side by side cannot both be the last that fits. */
#include "store_priv.h"

#include "access/access.h"
#include "policy.h"

#include <stdio.h>

/* --- quota --- */

struct usage {
    int64_t used_bytes, quota_bytes; /* quota < 0: none */
    bool is_default;                 /* the quota is the one of the settings */
};

static int read_usage(struct state_db *db, const struct registry *r, int64_t project_id,
                      struct usage *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int rows;

    *out = (struct usage){0, r->project_quota > 0 ? r->project_quota : -1, true};
    if (query_open(&q, db, e,
                   "SELECT used_bytes, quota_bytes FROM registry_projects WHERE project_id = ?",
                   "i", project_id) < 0 ||
        (rows = query_step(&q, e)) < 0) {
        return -1;
    }
    if (rows == 0) {
        return 0;
    }
    out->used_bytes = query_i64(&q, 0);
    if (!query_is_null(&q, 1)) {
        out->quota_bytes = query_i64(&q, 1);
        out->is_default = false;
    }
    return 0;
}

enum { NEAR_QUOTA_PERCENT = 85 }; /* as Harbor warns */

/* `db` NULL: outside of a transaction, as what was refused leaves none. */
static int tell_quota(const struct registry *r, struct state_db *db, enum registry_what what,
                      const struct repo_key *to, struct str details, struct err *e)
{
    return r->hooks.changed == NULL
               ? 0
               : r->hooks.changed(r->hooks.ctx, db,
                                  &(struct registry_change){.what = what,
                                                            .project_id = to->project_id,
                                                            .repository = to->name,
                                                            .by = to->by,
                                                            .details = details},
                                  e);
}

/* A product of the two could be more than 63 bits: divide first. */
static bool is_near(int64_t used_bytes, int64_t quota_bytes)
{
    return used_bytes >=
           quota_bytes / 100 * NEAR_QUOTA_PERCENT + quota_bytes % 100 * NEAR_QUOTA_PERCENT / 100;
}

static int tell_near(struct state_db *db, const struct registry *r, const struct repo_key *to,
                     const struct usage *u, struct err *e)
{
    char used[16], quota[16], text[128];
    int n = snprintf(text, sizeof(text), "quota usage reach %d%%: resource storage used %s of %s",
                     NEAR_QUOTA_PERCENT, str_format_bytes(u->used_bytes, used),
                     str_format_bytes(u->quota_bytes, quota));

    return tell_quota(r, db, REGISTRY_NEAR_QUOTA, to, str_n(text, (size_t)n), e);
}

static int over_quota(const struct registry *r, const struct repo_key *to, const struct usage *u,
                      const char **code, struct err *e)
{
    char want[16], quota[16], text[128];
    struct err ignored;
    int n =
        snprintf(text, sizeof(text), "the images would take %s, the quota is %s",
                 str_format_bytes(u->used_bytes, want), str_format_bytes(u->quota_bytes, quota));

    (void)tell_quota(r, NULL, REGISTRY_OVER_QUOTA, to, str_n(text, (size_t)n), &ignored);
    *code = "DENIED";
    return err_set(
        e, ERR_FORBIDDEN,
        "the images of this project would take %s, its quota is %s: delete images, or ask "
        "an administrator for a larger quota",
        str_format_bytes(u->used_bytes, want), str_format_bytes(u->quota_bytes, quota));
}

int db_quota_begin(struct state_db *db, const struct registry *r, int64_t project_id,
                   int64_t *used_bytes, struct err *e)
{
    struct usage u;

    if (read_usage(db, r, project_id, &u, e) < 0) {
        return -1;
    }
    *used_bytes = u.used_bytes;
    return 0;
}

int db_quota_end(struct state_db *db, const struct registry *r, const struct repo_key *to,
                 int64_t used_bytes, const char **code, struct err *e)
{
    struct usage u;

    if (read_usage(db, r, to->project_id, &u, e) < 0) {
        return -1;
    }
    if (u.quota_bytes < 0 || u.used_bytes <= used_bytes) {
        return 0;
    }
    if (u.used_bytes > u.quota_bytes) {
        return over_quota(r, to, &u, code, e);
    }
    return is_near(u.used_bytes, u.quota_bytes) && !is_near(used_bytes, u.quota_bytes)
               ? tell_near(db, r, to, &u, e)
               : 0;
}

struct usage_op {
    struct registry *r;
    int64_t project_id;
    struct usage usage;
    int64_t quota_bytes; /* to set; < 0: back to the default */
    int64_t bytes, room_bytes;
};

static int usage_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct usage_op *op = ctx;

    return read_usage(db, op->r, op->project_id, &op->usage, e);
}

/* Bytes past what is left may be those of a blob that the project is charged for already: they cost
 * nothing then, and only the end of the upload tells. */
static int room_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct usage_op *op = ctx;
    int64_t largest;

    if (usage_fn(db, op, e) < 0) {
        return -1;
    }
    op->room_bytes = op->usage.quota_bytes < 0 ? INT64_MAX
                     : op->usage.used_bytes > op->usage.quota_bytes
                         ? 0
                         : op->usage.quota_bytes - op->usage.used_bytes;
    if (op->bytes <= op->room_bytes) {
        return 0;
    }
    if (state_one_i64(db, &largest, e, "rows",
                      "SELECT coalesce(max(b.size_bytes), 0) FROM project_blobs p"
                      " JOIN blobs b USING (digest) WHERE p.project_id = ?",
                      "i", op->project_id) < 0) {
        return -1;
    }
    op->room_bytes = largest > op->room_bytes ? largest : op->room_bytes;
    return 0;
}

int store_quota_room(struct registry *r, const struct repo_key *to, int64_t bytes, int64_t *room,
                     const char **code, struct err *e)
{
    struct usage_op op = {.r = r, .project_id = to->project_id, .bytes = bytes};

    if (state_read(r->state, room_fn, &op, e) < 0) {
        return -1;
    }
    *room = op.room_bytes;
    if (bytes <= op.room_bytes) {
        return 0;
    }
    op.usage.used_bytes =
        bytes > INT64_MAX - op.usage.used_bytes ? INT64_MAX : op.usage.used_bytes + bytes;
    return over_quota(r, to, &op.usage, code, e);
}

int store_quota_write(struct registry *r, int64_t project_id, struct jw *w, struct err *e)
{
    struct usage_op op = {.r = r, .project_id = project_id};

    if (state_read(r->state, usage_fn, &op, e) < 0) {
        return -1;
    }
    jw_object(w);
    jw_kv_i64(w, "used_bytes", op.usage.used_bytes);
    jw_key(w, "quota_bytes");
    if (op.usage.quota_bytes >= 0) {
        jw_i64(w, op.usage.quota_bytes);
    } else {
        jw_null(w);
    }
    jw_kv_bool(w, "is_default", op.usage.is_default);
    jw_end(w);
    return 0;
}

static int set_quota_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct usage_op *op = ctx;

    if (access_project_check(db, op->project_id, e) < 0 ||
        state_run(db, e,
                  "INSERT INTO registry_projects(project_id) VALUES (?) ON CONFLICT DO NOTHING",
                  "i", op->project_id) < 0) {
        return -1;
    }
    return op->quota_bytes < 0
               ? state_run(db, e,
                           "UPDATE registry_projects SET quota_bytes = NULL WHERE project_id = ?",
                           "i", op->project_id)
               : state_run(db, e,
                           "UPDATE registry_projects SET quota_bytes = ? WHERE project_id = ?",
                           "ii", op->quota_bytes, op->project_id);
}

int store_quota_set(struct registry *r, int64_t project_id, int64_t quota_bytes, struct err *e)
{
    struct usage_op op = {.r = r, .project_id = project_id, .quota_bytes = quota_bytes};

    return state_write(r->state, set_quota_fn, &op, e);
}

/* --- policy --- */

int db_policy(struct state_db *db, struct arena *a, int64_t project_id, struct policy *out,
              struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    *out = (struct policy){0};
    if (query_open(&q, db, e, "SELECT policy FROM registry_projects WHERE project_id = ?", "i",
                   project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return r == 0 ? 0 : policy_parse(a, query_str(&q, 0), out, e);
}

struct policy_op {
    int64_t project_id;
    struct arena *arena;
    struct policy *out;
    policy_change *change;
    void *change_ctx;
    struct str text;
    int64_t next_run_ms;
};

static int policy_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct policy_op *op = ctx;

    return db_policy(db, op->arena, op->project_id, op->out, e);
}

int store_policy_get(struct registry *r, struct arena *a, int64_t project_id, struct policy *out,
                     struct err *e)
{
    struct policy_op op = {.project_id = project_id, .arena = a, .out = out};

    return state_read(r->state, policy_fn, &op, e);
}

static int set_policy_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct policy_op *op = ctx;

    return access_project_check(db, op->project_id, e) < 0
               ? -1
               : state_run(db, e,
                           "INSERT INTO registry_projects(project_id, policy, next_run_ms)"
                           " VALUES (?, ?, nullif(?, -1)) ON CONFLICT DO UPDATE SET"
                           " policy = excluded.policy, next_run_ms = excluded.next_run_ms",
                           "isi", op->project_id, op->text, op->next_run_ms);
}

/* What is written: the text, in `text`, and when it runs next. */
static int policy_form(struct policy_op *op, const struct policy *p, struct buf *text,
                       struct err *e)
{
    struct jw w = JW(text);

    policy_write(p, &w);
    op->text = buf_str(text);
    op->next_run_ms =
        p->schedule.p != NULL && p->n_rules > 0 ? cron_next(&p->cron, clock_wall_ms()) : -1;
    return text->failed ? err_set(e, ERR_LIMIT,
                                  "the policy is longer than %d bytes: shorten its "
                                  "patterns",
                                  POLICY_BYTES_MAX)
                        : 0;
}

int store_policy_set(struct registry *r, int64_t project_id, const struct policy *p, struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(POLICY_BYTES_MAX);
    struct policy_op op = {.project_id = project_id};

    return policy_form(&op, p, &text, e) < 0 ? -1 : state_write(r->state, set_policy_fn, &op, e);
}

static int change_policy_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct policy_op *op = ctx;
    SCOPED(buf_done) struct buf before = BUF_MAX(POLICY_BYTES_MAX);
    SCOPED(buf_done) struct buf after = BUF_MAX(POLICY_BYTES_MAX);
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct jw w = JW(&before);

    if (db_policy(db, op->arena, op->project_id, op->out, e) < 0) {
        return -1;
    }
    policy_write(op->out, &w);
    doc = json_parse(buf_str(&before), e);
    return doc == NULL || op->change(op->change_ctx, doc, e) < 0 ||
                   policy_of_json(op->arena, doc, op->out, e) < 0 ||
                   policy_form(op, op->out, &after, e) < 0 || set_policy_fn(db, op, e) < 0
               ? -1
               : 0;
}

int store_policy_change(struct registry *r, struct arena *a, int64_t project_id,
                        policy_change *change, void *ctx, struct policy *out, struct err *e)
{
    struct policy_op op = {
        .project_id = project_id, .arena = a, .out = out, .change = change, .change_ctx = ctx};

    return state_write(r->state, change_policy_fn, &op, e);
}

/* --- immutable tags --- */

static int err_immutable(const struct tag_rule *rule, struct str repository, struct str tag,
                         const char **code, struct err *e)
{
    *code = "DENIED";
    return err_set(
        e, ERR_CONFLICT,
        "tag %.*s of %.*s is immutable (rule %lld: tags %.*s in %.*s): push another tag, "
        "or change the rule",
        STR_ARG(tag), STR_ARG(repository), (long long)rule->id, STR_ARG(rule->tags.text),
        STR_ARG(rule->repositories.text));
}

/* The first immutable one of the tags that `q` gives. */
static int refuse_immutable(struct query *q, const struct policy *p, struct str repository,
                            const char **code, struct err *e)
{
    struct str project = name_project(repository);
    int r;

    while ((r = query_step(q, e)) > 0) {
        struct str tag = query_str(q, 0);
        const struct tag_rule *rule =
            policy_immutable(p, str_from(repository, project.len + 1), tag);

        if (rule != NULL) {
            return err_immutable(rule, repository, tag, code, e);
        }
    }
    return r;
}

static int policy_of_repository(struct state_db *db, struct arena *a, int64_t id,
                                struct policy *out, struct str *name, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT project_id, name FROM repositories WHERE id = ?", "i", id) <
            0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the repository is gone");
    }
    *name = arena_str(a, query_str(&q, 1));
    return db_policy(db, a, query_i64(&q, 0), out, e);
}

int db_tags_may_change(struct state_db *db, const struct tags_named *t, const char **code,
                       struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(query_done) struct query q = {0};
    struct policy p;
    struct str repository;
    int opened;

    if (policy_of_repository(db, &a, t->repository_id, &p, &repository, e) < 0) {
        return -1;
    }
    if (p.n_immutable == 0) {
        return 0;
    }
    if (t->tag.p != NULL) {
        opened = query_open(&q, db, e,
                            "SELECT name FROM tags WHERE repository_id = ? AND name = ?"
                            " AND manifest_id <> ?",
                            "isi", t->repository_id, t->tag, t->unless_manifest_id);
    } else if (t->digest != NULL) {
        opened = query_open(&q, db, e,
                            "WITH RECURSIVE up(digest) AS (SELECT ?2 UNION"
                            " SELECT m.digest FROM up JOIN manifest_children c"
                            "  ON c.repository_id = ?1 AND c.digest = up.digest"
                            "  JOIN manifests m ON m.id = c.manifest_id)"
                            " SELECT t.name FROM up JOIN manifests m ON m.repository_id = ?1"
                            "  AND m.digest = up.digest JOIN tags t ON t.manifest_id = m.id",
                            "iz", t->repository_id, t->digest);
    } else {
        opened = query_open(&q, db, e, "SELECT name FROM tags WHERE repository_id = ?", "i",
                            t->repository_id);
    }
    return opened < 0 ? -1 : refuse_immutable(&q, &p, repository, code, e);
}
