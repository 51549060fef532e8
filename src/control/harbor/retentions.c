/* Which tags a project keeps: a retention has the id of its project. */
#include "policies.h"

#include "registry/retention.h"
#include "registry/store.h"

#include <string.h>

/* The name is also that of the parameter. */
static const char *const templates[KEEPS] = {[KEEP_LATEST_PUSHED] = "latestPushedK",
                                             [KEEP_LATEST_PULLED] = "latestPulledN",
                                             [KEEP_PUSHED_DAYS] = "nDaysSinceLastPush",
                                             [KEEP_PULLED_DAYS] = "nDaysSinceLastPull",
                                             [KEEP_ALWAYS] = "always"};

/* --- told --- */

static void write_rule(struct jw *w, const struct tag_rule *rule, size_t priority)
{
    jw_object(w);
    jw_kv_i64(w, "id", rule->id);
    jw_kv_i64(w, "priority", (int64_t)priority);
    jw_kv_bool(w, "disabled", false);
    jw_kv_c(w, "action", "retain");
    jw_kv_c(w, "template", templates[rule->keep]);
    jw_key(w, "params");
    jw_object(w);
    if (rule->keep != KEEP_ALWAYS) {
        jw_kv_i64(w, templates[rule->keep], rule->n);
    }
    jw_end(w);
    selectors_write(w, rule, true);
    jw_end(w);
}

static void write_trigger(struct jw *w, struct arena *a, const struct policy *p)
{
    struct str cron = p->schedule.p ? harbor_cron(a, p->schedule) : STR_EMPTY;

    jw_key(w, "trigger");
    jw_object(w);
    jw_kv_c(w, "kind", "Schedule");
    jw_key(w, "settings");
    jw_object(w);
    jw_kv_str(w, "cron", cron);
    jw_end(w);
    jw_key(w, "references");
    jw_object(w);
    jw_end(w);
    jw_end(w);
}

static int policy_of(struct http_req *r, int64_t *id, struct policy *p, struct err *e)
{
    const struct harbor *h = r->ctx;

    if (harbor_project_id(r, id, e) < 0 ||
        store_policy_get(h->registry, &r->arena, *id, p, e) < 0) {
        return -1;
    }
    return p->n_rules > 0 ? 0 : err_set(e, ERR_NOT_FOUND, "the project has no retention");
}

int harbor_retention(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(256 * 1024);
    struct jw w = JW(&b);
    struct policy p;
    int64_t id;

    if (policy_of(r, &id, &p, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_i64(&w, "id", id);
    jw_kv_c(&w, "algorithm", "or");
    jw_key(&w, "rules");
    jw_array(&w);
    for (size_t i = 0; i < p.n_rules; i++) {
        write_rule(&w, &p.rules[i], i + 1);
    }
    jw_end(&w);
    write_trigger(&w, &r->arena, &p);
    jw_key(&w, "scope");
    jw_object(&w);
    jw_kv_c(&w, "level", "project");
    jw_kv_i64(&w, "ref", id);
    jw_end(&w);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

/* --- said --- */

static int read_template(const json_t *body, json_t *rule, struct err *e)
{
    struct str template = STR_EMPTY;
    const json_t *n;
    unsigned k = 0;

    if (json_need_str(body, "template", &template, e) < 0) {
        return -1;
    }
    while (k < KEEPS && !str_eq_c(template, templates[k])) {
        k++;
    }
    if (k == KEEPS) {
        return err_set(e, ERR_INVALID,
                       "template: %.*s is not here: latestPushedK, latestPulledN, "
                       "nDaysSinceLastPush, nDaysSinceLastPull or always",
                       STR_ARG(str_first(template, 64)));
    }
    n = json_object_get(json_object_get(body, "params"), templates[k]);
    if (k != KEEP_ALWAYS && !json_is_integer(n)) {
        return err_set(e, ERR_INVALID, "params.%s: give a number", templates[k]);
    }
    (void)json_object_set_new(rule, "keep", json_string(keep_name((enum keep)k)));
    if (k != KEEP_ALWAYS) {
        (void)json_object_set_new(rule, "n", json_integer(json_integer_value(n)));
    }
    return 0;
}

static int read_rule(struct arena *a, const json_t *body, json_t *rules, struct err *e)
{
    SCOPED(json_decrefp) json_t *rule = json_object();
    bool untagged = false, disabled = false;

    if (!json_is_object(body)) {
        return err_set(e, ERR_INVALID, "give an object");
    }
    if (json_get_bool(body, "disabled", &disabled, e) < 0 || read_template(body, rule, e) < 0 ||
        selectors_read(a, body, rule, &untagged, e) < 0) {
        return -1;
    }
    if (disabled) {
        return err_set(e, ERR_INVALID, "disabled: a rule here is in force, or left out");
    }
    (void)json_object_set_new(rule, "untagged", json_boolean(untagged));
    return json_array_append(rules, rule) < 0 ? err_set(e, ERR_INVALID, "too many rules") : 0;
}

static json_t *schedule_of(const json_t *body)
{
    const json_t *cron =
        json_object_get(json_object_get(json_object_get(body, "trigger"), "settings"), "cron");

    return json_is_string(cron) && json_string_length(cron) > 0
               ? json_string(json_string_value(cron))
               : json_null();
}

/* What no rule is about goes too in the repositories that a rule is about, as in Harbor. */
static int read_retention(struct arena *a, const json_t *body, json_t *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *rules = json_array();
    const json_t *list = json_object_get(body, "rules"), *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > POLICY_RULES_MAX) {
        return err_set(e, ERR_INVALID, "rules: give a list of 1 to %d", POLICY_RULES_MAX);
    }
    json_array_foreach(list, i, item)
    {
        if (read_rule(a, item, rules, e) < 0) {
            return err_wrap(e, "rules[%zu]", i);
        }
    }
    (void)json_object_set_new(out, "schedule", schedule_of(body));
    (void)json_object_set_new(out, "others", json_string("remove"));
    (void)json_object_set(out, "rules", rules);
    return 0;
}

struct edit {
    bool is_new;
    json_t *retention; /* NULL: none */
};

static int edit_fn(void *ctx, json_t *doc, struct err *e)
{
    const struct edit *x = ctx;
    size_t n = json_array_size(json_object_get(json_object_get(doc, "retention"), "rules"));

    if (x->is_new && n > 0) {
        return err_set(e, ERR_INVALID, "the project has a retention already: change that");
    }
    if (!x->is_new && n == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project has no retention");
    }
    (void)(x->retention ? json_object_set(doc, "retention", x->retention)
                        : json_object_del(doc, "retention"));
    return 0;
}

static int set_retention(struct http_req *r, const json_t *body, bool is_new, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *retention = body ? json_object() : NULL;
    struct policy p;
    int64_t id;

    if (harbor_project_id(r, &id, e) < 0 ||
        (body != NULL && read_retention(&r->arena, body, retention, e) < 0) ||
        store_policy_change(h->registry, &r->arena, id, edit_fn, &(struct edit){is_new, retention},
                            &p, e) < 0) {
        return -1;
    }
    return is_new ? harbor_reply_made(r, id, e) : http_reply_empty(r, 200, e);
}

/* The body names the project. */
int harbor_retention_add(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    const json_t *scope;
    char name[NAME_SIZE] = "";

    if (http_body_json(r, &body, e) < 0) {
        return -1;
    }
    scope = json_object_get(body, "scope");
    if (!json_is_integer(json_object_get(scope, "ref"))) {
        return err_set(e, ERR_INVALID, "scope: give {\"level\": \"project\", \"ref\": its id}");
    }
    if (access_project_name(h->access, json_integer_value(json_object_get(scope, "ref")), name, e) <
            0 ||
        access_permissions(h->access, &r->who, str_of(name)) == 0) {
        return err_set(e, ERR_INVALID, "scope.ref: there is no project of that id");
    }
    r->project = arena_str(&r->arena, str_of(name)); /* for the audit too */
    return access_authorize(h->access, r, PERM_PROJECT_MANAGE, r->project, e) < 0
               ? -1
               : set_retention(r, body, true, e);
}

int harbor_retention_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;

    return http_body_json(r, &body, e) < 0 ? -1 : set_retention(r, body, false, e);
}

int harbor_retention_delete(struct http_req *r, struct err *e)
{
    return set_retention(r, NULL, false, e);
}

/* --- runs --- */

struct runs {
    struct list list; /* first: harbor_list_reply hands it over */
    int64_t project_id, run_id, task;
};

static int fill_runs(struct state_db *db, void *ctx, struct err *e)
{
    struct runs *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (state_one_i64(db, &l->total, e, "",
                      "SELECT count(*) FROM retention_runs WHERE project_id = ?", "i",
                      of->project_id) < 0 ||
        query_open(&q, db, e,
                   "SELECT id, started_ms, ended_ms, dry_run, started_by, error FROM"
                   " retention_runs WHERE project_id = ? ORDER BY id DESC LIMIT ? OFFSET ?",
                   "iii", of->project_id, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(&l->w);
        jw_kv_i64(&l->w, "id", query_i64(&q, 0));
        jw_kv_i64(&l->w, "policy_id", of->project_id);
        jw_kv_time(&l->w, "start_time", query_i64(&q, 1));
        if (!query_is_null(&q, 2)) {
            jw_kv_time(&l->w, "end_time", query_i64(&q, 2));
        }
        jw_kv_c(&l->w, "status",
                query_is_null(&q, 2)                           ? "Running"
                : query_is_null(&q, 5)                         ? "Succeed"
                : str_starts(query_str(&q, 5), STR("stopped")) ? "Stopped"
                                                               : "Failed");
        jw_kv_c(&l->w, "trigger", str_eq_c(query_str(&q, 4), "schedule") ? "Schedule" : "Manual");
        jw_kv_bool(&l->w, "dry_run", query_i64(&q, 3) != 0);
        jw_end(&l->w);
    }
    return r;
}

int harbor_retention_runs(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct runs of = {0};

    return harbor_project_id(r, &of.project_id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_runs, e);
}

int harbor_retention_run(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    bool is_dry = false;
    struct policy p;
    int64_t project, id;

    return policy_of(r, &project, &p, e) < 0 || http_body_json(r, &body, e) < 0 ||
                   json_get_bool(body, "dry_run", &is_dry, e) < 0 ||
                   retention_run(h->registry, r->project, project, is_dry ? RETENTION_DRY_RUN : 0,
                                 str_of(r->who.name), &id, e) < 0
               ? -1
               : harbor_reply_made(r, id, e);
}

static int check_run(struct state_db *db, const struct runs *of, struct err *e)
{
    int64_t there;

    return state_one_i64(db, &there, e, "the project has no such run of its retention",
                         "SELECT 1 FROM retention_runs WHERE id = ? AND project_id = ?", "ii",
                         of->run_id, of->project_id);
}

/* A task is a repository of a run, by its place. */
static int fill_tasks(struct state_db *db, void *ctx, struct err *e)
{
    struct runs *of = ctx;
    struct list *l = &of->list;
    SCOPED(query_done) struct query q = {0};
    int64_t n = l->offset;
    int r;

    if (check_run(db, of, e) < 0 ||
        state_one_i64(db, &l->total, e, "",
                      "SELECT count(DISTINCT repository) FROM retention_rows WHERE run_id = ?", "i",
                      of->run_id) < 0 ||
        query_open(&q, db, e,
                   "SELECT w.repository, count(*), sum(w.kept), n.started_ms, n.ended_ms"
                   " FROM retention_rows w JOIN retention_runs n ON n.id = w.run_id"
                   " WHERE w.run_id = ? GROUP BY w.repository ORDER BY w.repository"
                   " LIMIT ? OFFSET ?",
                   "iii", of->run_id, l->size, l->offset) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        jw_object(&l->w);
        jw_kv_i64(&l->w, "id", ++n);
        jw_kv_i64(&l->w, "execution_id", of->run_id);
        jw_kv_str(&l->w, "repository", query_str(&q, 0));
        jw_kv_c(&l->w, "status", query_is_null(&q, 4) ? "Running" : "Success");
        jw_kv_i64(&l->w, "status_code", query_is_null(&q, 4) ? 2 : 3);
        jw_kv_time(&l->w, "start_time", query_i64(&q, 3));
        if (!query_is_null(&q, 4)) {
            jw_kv_time(&l->w, "end_time", query_i64(&q, 4));
        }
        jw_kv_i64(&l->w, "total", query_i64(&q, 1));
        jw_kv_i64(&l->w, "retained", query_i64(&q, 2));
        jw_end(&l->w);
    }
    return r;
}

int harbor_retention_tasks(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    struct runs of = {0};

    return harbor_project_id(r, &of.project_id, e) < 0 ||
                   harbor_path_id(r, "id", &of.run_id, e) < 0 ||
                   harbor_list_begin(&of.list, r, keys, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_tasks, e);
}

struct stop {
    struct runs of; /* first: check_run takes it */
    int64_t is_open;
};

static int open_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct stop *s = ctx;

    return check_run(db, &s->of, e) < 0
               ? -1
               : state_one_i64(db, &s->is_open, e, "rows",
                               "SELECT ended_ms IS NULL FROM retention_runs WHERE id = ?", "i",
                               s->of.run_id);
}

/* One that is over has nothing to stop. */
int harbor_retention_stop(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str action = STR_EMPTY;
    struct stop s = {0};

    if (harbor_project_id(r, &s.of.project_id, e) < 0 ||
        harbor_path_id(r, "id", &s.of.run_id, e) < 0 || http_body_json(r, &body, e) < 0 ||
        json_need_str(body, "action", &action, e) < 0) {
        return -1;
    }
    if (!str_eq_c(action, "stop")) {
        return err_set(e, ERR_INVALID, "action: give stop");
    }
    if (state_read(h->state, open_fn, &s, e) < 0) {
        return -1;
    }
    if (s.is_open) {
        retention_cancel(h->registry, s.of.project_id);
    }
    return http_reply_empty(r, 200, e);
}

static int log_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct runs *of = ctx;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (check_run(db, of, e) < 0 ||
        query_open(&q, db, e,
                   "SELECT tag, digest, kept, why FROM retention_rows WHERE run_id = ?1 AND"
                   " repository = (SELECT DISTINCT repository FROM retention_rows WHERE run_id = ?1"
                   "  ORDER BY repository LIMIT 1 OFFSET ?2) ORDER BY number",
                   "ii", of->run_id, of->task - 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct str tag = query_str(&q, 0);

        buf_printf(&of->list.body, "%s %.*s %.*s: %.*s\n", query_i64(&q, 2) ? "RETAIN" : "DELETE",
                   STR_ARG(tag.len > 0 ? tag : STR("-")), STR_ARG(query_str(&q, 1)),
                   STR_ARG(query_str(&q, 3)));
    }
    return r < 0                    ? -1
           : of->list.body.len == 0 ? err_set(e, ERR_NOT_FOUND, "the run has no such task")
                                    : 0;
}

int harbor_retention_log(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct runs of = {.list = {.body = BUF_MAX(8 * 1024 * 1024)}};
    int result;

    if (harbor_project_id(r, &of.project_id, e) < 0 || harbor_path_id(r, "id", &of.run_id, e) < 0 ||
        harbor_path_id(r, "task", &of.task, e) < 0) {
        return -1;
    }
    result = of.task == 0 ? err_set(e, ERR_NOT_FOUND, "the run has no such task")
                          : state_read(h->state, log_fn, &of, e);
    if (result == 0) {
        result = harbor_reply_log(r, &of.list.body, e);
    }
    buf_done(&of.list.body);
    return result;
}

/* --- what a rule may say --- */

static void write_choice(struct jw *w, const char *key, const char *text, const char *is,
                         const char *is_not)
{
    jw_key(w, key);
    jw_array(w);
    jw_object(w);
    jw_kv_c(w, "display_text", text);
    jw_kv_c(w, "kind", "doublestar");
    jw_key(w, "decorations");
    jw_array(w);
    jw_str(w, str_of(is));
    jw_str(w, str_of(is_not));
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

static void write_kind(struct jw *w, enum keep keep)
{
    static const char *const texts[KEEPS] = {
        [KEEP_LATEST_PUSHED] = "the # artifacts that were pushed last",
        [KEEP_LATEST_PULLED] = "the # artifacts that were pulled last",
        [KEEP_PUSHED_DAYS] = "what was pushed within the last # days",
        [KEEP_PULLED_DAYS] = "what was pulled within the last # days",
        [KEEP_ALWAYS] = "everything"};

    jw_object(w);
    jw_kv_c(w, "rule_template", templates[keep]);
    jw_kv_c(w, "display_text", texts[keep]);
    jw_kv_c(w, "action", "retain");
    jw_key(w, "params");
    jw_array(w);
    if (keep != KEEP_ALWAYS) {
        bool in_days = keep == KEEP_PUSHED_DAYS || keep == KEEP_PULLED_DAYS;

        jw_object(w);
        jw_kv_c(w, "type", "int");
        jw_kv_c(w, "unit", in_days ? "DAYS" : "COUNT");
        jw_kv_bool(w, "required", true);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

int harbor_retention_kinds(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(16 * KIB);
    struct jw w = JW(&b);

    jw_object(&w);
    jw_key(&w, "templates");
    jw_array(&w);
    for (int keep = 0; keep < KEEPS; keep++) {
        write_kind(&w, (enum keep)keep);
    }
    jw_end(&w);
    write_choice(&w, "scope_selectors", "Repositories", "repoMatches", "repoExcludes");
    write_choice(&w, "tag_selectors", "Tags", "matches", "excludes");
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}
