/* Selectors of rules for tags, and the rules for tags that never change. */
#include "policies.h"

#include "registry/store.h"

/* --- selectors --- */

/* {"kind": "doublestar", "decoration", "pattern"} as a pattern of ours, where "!" turns it around.
 */
static int selector_read(struct arena *a, const json_t *list, const char *key, const char *is,
                         const char *is_not, struct str *out, struct err *e)
{
    const json_t *s = json_array_get(list, 0);
    struct str decoration = str_of(is), pattern = STR_EMPTY, kind = STR("doublestar");

    if (json_array_size(list) != 1 || !json_is_object(s)) {
        return err_set(e, ERR_INVALID, "%s: give one selector", key);
    }
    if (json_get_str(s, "kind", &kind, e) < 0 ||
        json_get_str(s, "decoration", &decoration, e) < 0 ||
        json_need_str(s, "pattern", &pattern, e) < 0) {
        return err_wrap(e, "%s", key);
    }
    if (!str_eq_c(kind, "doublestar") ||
        !(str_eq_c(decoration, is) || str_eq_c(decoration, is_not))) {
        return err_set(e, ERR_INVALID, "%s: the kind is doublestar, the decoration %s or %s", key,
                       is, is_not);
    }
    if (pattern.len == 0 || pattern.p[0] == '!') {
        return err_set(e, ERR_INVALID, "%s: give a pattern, as in v*", key);
    }
    *out = str_of(
        arena_printf(a, "%s%.*s", str_eq_c(decoration, is_not) ? "!" : "", STR_ARG(pattern)));
    return 0;
}

/* extras is JSON in a string: {"untagged": true}. */
static int extras_read(const json_t *selector, bool *untagged, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct str text = STR_EMPTY;

    if (json_get_str(selector, "extras", &text, e) < 0) {
        return -1;
    }
    if (text.len == 0) {
        return 0;
    }
    doc = json_parse(text, e);
    return !json_is_object(doc)
               ? err_set(e, ERR_INVALID, "tag_selectors: extras is JSON in a string")
               : json_get_bool(doc, "untagged", untagged, e);
}

int selectors_read(struct arena *a, const json_t *body, json_t *rule, bool *untagged, struct err *e)
{
    const json_t *tags = json_object_get(body, "tag_selectors");
    const json_t *scopes = json_object_get(json_object_get(body, "scope_selectors"), "repository");
    struct str tag = STR_EMPTY, repository = STR_EMPTY;

    if (selector_read(a, tags, "tag_selectors", "matches", "excludes", &tag, e) < 0 ||
        selector_read(a, scopes, "scope_selectors.repository", "repoMatches", "repoExcludes",
                      &repository, e) < 0 ||
        (untagged != NULL && extras_read(json_array_get(tags, 0), untagged, e) < 0)) {
        return -1;
    }
    (void)json_object_set_new(rule, "tags", json_stringn(tag.p, tag.len));
    (void)json_object_set_new(rule, "repositories", json_stringn(repository.p, repository.len));
    return 0;
}

static void selector_write(struct jw *w, const struct selector *s, const char *is,
                           const char *is_not, const char *extras)
{
    jw_array(w);
    jw_object(w);
    jw_kv_c(w, "kind", "doublestar");
    jw_kv_c(w, "decoration", s->is_not ? is_not : is);
    jw_kv_str(w, "pattern", s->is_not ? str_from(s->text, 1) : s->text);
    if (extras) {
        jw_kv_c(w, "extras", extras);
    }
    jw_end(w);
    jw_end(w);
}

void selectors_write(struct jw *w, const struct tag_rule *rule, bool with_extras)
{
    const char *extras = rule->untagged ? "{\"untagged\":true}" : "{\"untagged\":false}";

    jw_key(w, "tag_selectors");
    selector_write(w, &rule->tags, "matches", "excludes", with_extras ? extras : NULL);
    jw_key(w, "scope_selectors");
    jw_object(w);
    jw_key(w, "repository");
    selector_write(w, &rule->repositories, "repoMatches", "repoExcludes", NULL);
    jw_end(w);
}

/* --- tags that never change --- */

static void write_rule(struct jw *w, const struct tag_rule *rule)
{
    jw_object(w);
    jw_kv_i64(w, "id", rule->id);
    jw_kv_i64(w, "priority", 0);
    jw_kv_bool(w, "disabled", false);
    jw_kv_c(w, "action", "immutable");
    jw_kv_c(w, "template", "immutable_template");
    selectors_write(w, rule, false);
    jw_end(w);
}

struct rules {
    struct list list; /* first: harbor_list_reply hands it over */
    struct policy policy;
};

static int fill_rules(struct state_db *db, void *ctx, struct err *e)
{
    struct rules *of = ctx;
    struct list *l = &of->list;

    (void)db;
    (void)e;
    l->total = (int64_t)of->policy.n_immutable;
    for (int64_t i = l->offset; i < l->total && i < l->offset + l->size; i++) {
        write_rule(&l->w, &of->policy.immutable[i]);
    }
    return 0;
}

int harbor_immutables(struct http_req *r, struct err *e)
{
    static const char *const keys[] = {NULL};
    const struct harbor *h = r->ctx;
    struct rules of = {0};
    int64_t id;

    return harbor_project_id(r, &id, e) < 0 || harbor_list_begin(&of.list, r, keys, e) < 0 ||
                   store_policy_get(h->registry, &r->arena, id, &of.policy, e) < 0
               ? -1
               : harbor_list_reply(&of.list, fill_rules, e);
}

struct edit {
    int64_t id;   /* 0: a new one */
    json_t *rule; /* NULL: it goes */
};

static int edit_fn(void *ctx, json_t *doc, struct err *e)
{
    const struct edit *x = ctx;
    json_t *list = json_object_get(doc, "immutable");
    size_t i = 0;

    if (x->id == 0) {
        return json_array_append(list, x->rule) < 0
                   ? err_set(e, ERR_INVALID, "the rule is too large")
                   : 0;
    }
    while (i < json_array_size(list) &&
           json_integer_value(json_object_get(json_array_get(list, i), "id")) != x->id) {
        i++;
    }
    if (i == json_array_size(list)) {
        return err_set(e, ERR_NOT_FOUND, "the project has no such rule");
    }
    (void)(x->rule ? json_array_set(list, i, x->rule) : json_array_remove(list, i));
    return 0;
}

static int change_rule(struct http_req *r, struct edit *x, struct policy *p, struct err *e)
{
    const struct harbor *h = r->ctx;
    int64_t project;

    return harbor_project_id(r, &project, e) < 0
               ? -1
               : store_policy_change(h->registry, &r->arena, project, edit_fn, x, p, e);
}

/* A new reference, or NULL. */
static json_t *rule_of_body(struct http_req *r, int64_t id, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    SCOPED(json_decrefp) json_t *rule = json_object();
    bool disabled = false;

    if (http_body_json(r, &body, e) < 0 || json_get_bool(body, "disabled", &disabled, e) < 0 ||
        selectors_read(&r->arena, body, rule, NULL, e) < 0) {
        return NULL;
    }
    if (disabled) {
        (void)err_set(e, ERR_INVALID, "disabled: a rule here is in force, or deleted");
        return NULL;
    }
    if (id > 0) {
        (void)json_object_set_new(rule, "id", json_integer(id));
    }
    return json_incref(rule);
}

int harbor_immutable_add(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *rule = rule_of_body(r, 0, e);
    struct policy p;

    return rule == NULL || change_rule(r, &(struct edit){0, rule}, &p, e) < 0
               ? -1
               : harbor_reply_made(r, p.immutable[p.n_immutable - 1].id, e);
}

int harbor_immutable_change(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *rule = NULL;
    struct edit x = {0};
    struct policy p;

    if (harbor_path_id(r, "id", &x.id, e) < 0 || (rule = rule_of_body(r, x.id, e)) == NULL) {
        return -1;
    }
    x.rule = rule;
    return change_rule(r, &x, &p, e) < 0 ? -1 : http_reply_empty(r, 200, e);
}

int harbor_immutable_delete(struct http_req *r, struct err *e)
{
    struct edit x = {0};
    struct policy p;

    return harbor_path_id(r, "id", &x.id, e) < 0 || change_rule(r, &x, &p, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}
