/* What a project asks of an image before it is pulled or run. */
#include "supply_priv.h"

#include "access/access.h"

#include <string.h>

static const char *const needs[NEEDS] = {"off", "pull", "pull_and_run"};

struct policy_op {
    int64_t project_id;
    struct arena *arena;
    struct trust_policy *out;
    const struct trust_policy *in;
    trust_change *change;
    void *change_ctx;
};

static int allowed_of(struct arena *a, const json_t *list, struct trust_policy *out, struct err *e)
{
    const json_t *one;
    size_t i;

    if (list == NULL || json_is_null(list)) {
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > LIMIT_ALLOWED_CVES) {
        return err_set(e, ERR_INVALID,
                       "allowed: expected a list of at most %d ids such as "
                       "CVE-2024-1234",
                       LIMIT_ALLOWED_CVES);
    }
    out->allowed = arena_new_array(a, struct str, json_array_size(list) + 1);
    json_array_foreach(list, i, one)
    {
        size_t len = json_string_length(one);

        if (!json_is_string(one) || len == 0 || len > 64) {
            return err_set(e, ERR_INVALID, "allowed[%zu]: expected an id such as CVE-2024-1234", i);
        }
        out->allowed[out->n_allowed++] = arena_str(a, str_n(json_string_value(one), len));
    }
    return 0;
}

static int need_of(struct str text, struct trust_policy *out, struct err *e)
{
    for (int i = 0; i < NEEDS; i++) {
        if (str_eq_c(text, needs[i])) {
            out->need = (enum need_signature)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "require_signature: expected off, pull or pull_and_run");
}

int trust_policy_parse(struct arena *a, const json_t *body, struct trust_policy *out, struct err *e)
{
    static const char *const keys[] = {"require_signature", "block_severity", "block_unscanned",
                                       "allowed",           "scan_on_push",   "allowed_off"};
    struct str need = STR("off"), severity = {0};
    const json_t *block = json_object_get(body, "block_severity");
    struct trust_policy p = {0};

    if (json_only_keys(body, keys, ARRAY_LEN(keys), e) < 0 ||
        json_get_str(body, "require_signature", &need, e) < 0 || need_of(need, &p, e) < 0 ||
        (!json_is_null(block) && json_get_str(body, "block_severity", &severity, e) < 0) ||
        json_get_bool(body, "block_unscanned", &p.blocks_unscanned, e) < 0 ||
        json_get_bool(body, "scan_on_push", &p.scans_on_push, e) < 0 ||
        json_get_bool(body, "allowed_off", &p.allowed_off, e) < 0 ||
        allowed_of(a, json_object_get(body, "allowed"), &p, e) < 0) {
        return -1;
    }
    if (severity.p != NULL &&
        (severity_parse(severity, &p.severity) < 0 || p.severity == SEV_UNKNOWN)) {
        return err_set(e, ERR_INVALID,
                       "block_severity: expected low, medium, high, critical, or null");
    }
    p.blocks = severity.p != NULL;
    *out = p;
    return 0;
}

void trust_policy_write(const struct trust_policy *p, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "require_signature", needs[p->need]);
    jw_kv_c(w, "block_severity", p->blocks ? severity_name(p->severity) : NULL);
    jw_kv_bool(w, "block_unscanned", p->blocks_unscanned);
    jw_kv_bool(w, "scan_on_push", p->scans_on_push);
    jw_key(w, "allowed");
    jw_array(w);
    for (size_t i = 0; i < p->n_allowed; i++) {
        jw_str(w, p->allowed[i]);
    }
    jw_end(w);
    if (p->allowed_off && p->n_allowed > 0) {
        jw_kv_bool(w, "allowed_off", true);
    }
    jw_end(w);
}

int trust_policy_of_text(struct arena *a, struct str text, struct trust_policy *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;

    *out = (struct trust_policy){0};
    if (text.len == 0) {
        return 0;
    }
    doc = json_parse(text, e);
    return doc == NULL ? -1 : trust_policy_parse(a, doc, out, e);
}

bool trust_policy_lists(const struct trust_policy *p)
{
    return p->n_allowed > 0 && !p->allowed_off;
}

int trust_policy_load(struct state_db *db, struct arena *a, int64_t project_id,
                      struct trust_policy *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT policy FROM supply_projects WHERE project_id = ?", "i",
                   project_id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    return trust_policy_of_text(a, r > 0 ? query_str(&q, 0) : STR_EMPTY, out, e);
}

static int read_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct policy_op *op = ctx;

    return trust_policy_load(db, op->arena, op->project_id, op->out, e);
}

int trust_policy_read(struct supply *s, struct arena *a, int64_t project_id,
                      struct trust_policy *out, struct err *e)
{
    struct policy_op op = {.project_id = project_id, .arena = a, .out = out};

    return state_read(s->state, read_fn, &op, e);
}

static int save(struct state_db *db, int64_t project_id, const struct trust_policy *p,
                struct err *e)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(512 * KIB);
    struct jw w = JW(&text);

    trust_policy_write(p, &w);
    if (text.failed) {
        return err_set(e, ERR_LIMIT, "the rules are too long");
    }
    return project_id != TRUST_OF_SYSTEM && access_project_check(db, project_id, e) < 0
               ? -1
               : state_run(db, e,
                           "INSERT INTO supply_projects(project_id, policy) VALUES (?, ?)"
                           " ON CONFLICT(project_id) DO UPDATE SET policy = excluded.policy",
                           "is", project_id, buf_str(&text));
}

static int save_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct policy_op *op = ctx;

    return save(db, op->project_id, op->in, e);
}

int trust_policy_save(struct supply *s, int64_t project_id, const struct trust_policy *p,
                      struct err *e)
{
    struct policy_op op = {.project_id = project_id, .in = p};

    return state_write(s->state, save_fn, &op, e);
}

static int change_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct policy_op *op = ctx;

    return read_fn(db, op, e) < 0 || op->change(op->change_ctx, op->out, e) < 0
               ? -1
               : save(db, op->project_id, op->out, e);
}

int trust_policy_change(struct supply *s, struct arena *a, int64_t project_id, trust_change *change,
                        void *ctx, struct err *e)
{
    struct trust_policy p;
    struct policy_op op = {
        .project_id = project_id, .arena = a, .out = &p, .change = change, .change_ctx = ctx};

    return state_write(s->state, change_fn, &op, e);
}
