/* Harbor's metadata of a project: texts here and there. What they mean is in three places: whether
 * it is public (access), the id of its retention (registry), and what its images must be (supply).
 */
#include "metadata.h"

#include <stdio.h>

enum meta {
    META_PUBLIC,
    META_SIGNED,
    META_BLOCKS,
    META_SEVERITY,
    META_SCANS,
    META_NO_LIST, /* the list of the system, and not its own */
    META_RETENTION,
    META_OTHER
};

/* Both names of content trust are one switch: signatures of cosign are those that are verified. */
static const struct {
    const char *name;
    enum meta meta;
} metas[] = {{"public", META_PUBLIC},
             {"enable_content_trust", META_SIGNED},
             {"enable_content_trust_cosign", META_SIGNED},
             {"prevent_vul", META_BLOCKS},
             {"severity", META_SEVERITY},
             {"auto_scan", META_SCANS},
             {"reuse_sys_cve_allowlist", META_NO_LIST},
             {"retention_id", META_RETENTION}};

static enum meta meta_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(metas); i++) {
        if (str_eq_c(name, metas[i].name)) {
            return metas[i].meta;
        }
    }
    return META_OTHER;
}

/* --- what a project is told to be --- */

void metadata_write(struct jw *w, const struct project_facts *f)
{
    const struct trust_policy *p = &f->rules;
    const bool is_on[] = {
        [META_PUBLIC] = f->is_public,
        [META_SIGNED] = p->need != NEED_OFF,
        [META_BLOCKS] = p->blocks,
        [META_SCANS] = p->scans_on_push,
        [META_NO_LIST] = !trust_policy_lists(p),
    };
    char id[24];

    jw_object(w);
    for (size_t i = 0; i < ARRAY_LEN(metas); i++) {
        if (metas[i].meta == META_RETENTION && f->has_retention) {
            (void)snprintf(id, sizeof(id), "%lld", (long long)f->id);
            jw_kv_c(w, metas[i].name, id);
        } else if (metas[i].meta == META_SEVERITY && p->blocks) {
            jw_kv_c(w, metas[i].name, severity_name(p->severity));
        } else if (metas[i].meta < META_RETENTION && metas[i].meta != META_SEVERITY) {
            jw_kv_c(w, metas[i].name, is_on[metas[i].meta] ? "true" : "false");
        }
    }
    jw_end(w);
}

static void items_write(struct jw *w, const struct trust_policy *p)
{
    jw_key(w, "items");
    jw_array(w);
    for (size_t i = 0; i < p->n_allowed; i++) {
        jw_object(w);
        jw_kv_str(w, "cve_id", p->allowed[i]);
        jw_end(w);
    }
    jw_end(w);
}

void allowlist_write(struct jw *w, const struct project_facts *f)
{
    jw_object(w);
    jw_kv_i64(w, "id", f->id);
    jw_kv_i64(w, "project_id", f->id);
    items_write(w, &f->rules);
    jw_kv_time(w, "creation_time", f->created_ms);
    jw_kv_time(w, "update_time", f->created_ms);
    jw_end(w);
}

/* --- what a body asks for --- */

static int read_switch(const char *name, struct str text, bool *out, struct err *e)
{
    *out = str_eq_nocase(text, STR("true"));
    return *out || str_eq_nocase(text, STR("false"))
               ? 0
               : err_set(e, ERR_INVALID, "metadata.%.64s: give \"true\" or \"false\"", name);
}

/* "none" blocks whatever was found: the lowest that there is here. */
static int read_severity(struct str text, enum severity *out, struct err *e)
{
    enum severity s = SEV_LOW;

    if (!str_eq_c(text, "none") && (severity_parse(text, &s) < 0 || s == SEV_UNKNOWN)) {
        return err_set(e, ERR_INVALID,
                       "metadata.severity: give none, low, medium, high or critical");
    }
    *out = s;
    return 0;
}

static int read_meta(const char *name, struct str text, struct project_wish *out, struct err *e)
{
    enum meta meta = meta_of(str_of(name));
    bool is_on;
    enum change change;

    if (meta == META_RETENTION) { /* clients send back what they read */
        return 0;
    }
    if (meta == META_SEVERITY) {
        return read_severity(text, &out->severity, e);
    }
    if (meta == META_OTHER) {
        return !str_eq_nocase(text, STR("true"))
                   ? 0
                   : err_set(e, ERR_INVALID,
                             "metadata.%.64s: this registry cannot do that; leave it "
                             "out, or \"false\"",
                             name);
    }
    if (read_switch(name, text, &is_on, e) < 0) {
        return -1;
    }
    change = is_on ? CHANGE_SET : CHANGE_CLEAR;
    switch (meta) {
    case META_PUBLIC:
        out->is_public = change;
        break;
    case META_SIGNED:
        out->signed_only = out->signed_only == CHANGE_SET ? CHANGE_SET : change;
        break;
    case META_BLOCKS:
        out->blocks = change;
        break;
    case META_SCANS:
        out->scans = change;
        break;
    default: /* META_NO_LIST: its own is kept, and not in force */
        out->no_list = change;
    }
    return 0;
}

/* Switches of what is not here may be off: clients send all that they know. */
static int read_metas(const json_t *meta, struct project_wish *out, struct err *e)
{
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)meta, key, v)
    {
        if (json_is_null(v)) {
            continue;
        }
        if (!json_is_string(v)) {
            return err_set(e, ERR_INVALID, "metadata.%.64s: give a string", key);
        }
        if (read_meta(key, str_n(json_string_value(v), json_string_length(v)), out, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_allowlist(const json_t *list, struct project_wish *out, struct err *e)
{
    const json_t *items = json_object_get(list, "items");
    const json_t *until = json_object_get(list, "expires_at");

    if (!json_is_object(list) || items == NULL || json_is_null(items)) {
        return 0;
    }
    if (!json_is_array(items)) {
        return err_set(e, ERR_INVALID, "cve_allowlist.items: give a list");
    }
    if (json_is_integer(until) && json_integer_value(until) != 0) {
        return err_set(e, ERR_INVALID, "cve_allowlist.expires_at: a list here does not expire");
    }
    if (json_array_size(items) > LIMIT_ALLOWED_CVES) {
        return err_set(e, ERR_INVALID, "cve_allowlist.items: at most %d", LIMIT_ALLOWED_CVES);
    }
    out->has_allowed = true;
    out->allowed = items;
    return 0;
}

int project_wish_read(const json_t *body, struct project_wish *out, struct err *e)
{
    const json_t *meta = json_object_get(body, "metadata");
    const json_t *is_public = json_object_get(body, "public");

    if (json_is_boolean(is_public)) {
        out->is_public = json_is_true(is_public) ? CHANGE_SET : CHANGE_CLEAR;
    }
    if (json_is_integer(json_object_get(body, "registry_id"))) {
        out->registry_id = json_integer_value(json_object_get(body, "registry_id"));
    }
    if (json_is_integer(json_object_get(body, "storage_limit"))) {
        out->storage = json_integer_value(json_object_get(body, "storage_limit"));
    }
    return read_allowlist(json_object_get(body, "cve_allowlist"), out, e) < 0 ||
                   (json_is_object(meta) && read_metas(meta, out, e) < 0)
               ? -1
               : 0;
}

struct rules_op {
    const struct project_wish *c;
    struct arena *arena;
};

static int allow(struct arena *a, const json_t *items, struct trust_policy *p, struct err *e)
{
    const json_t *item;
    size_t i;

    p->n_allowed = 0;
    p->allowed = arena_new_array(a, struct str, json_array_size(items) + 1);
    json_array_foreach(items, i, item)
    {
        struct str id = STR_EMPTY;

        if (!json_is_object(item) || json_need_str(item, "cve_id", &id, e) < 0 || id.len == 0 ||
            id.len > 64) {
            return err_set(e, ERR_INVALID,
                           "cve_allowlist.items[%zu]: give {\"cve_id\": \"CVE-2024-1234\"}", i);
        }
        p->allowed[p->n_allowed++] = id;
    }
    return 0;
}

/* Harbor lets nobody pull what was not scanned, where what was found counts. */
static int follow_blocks(const struct project_wish *c, struct trust_policy *p, struct err *e)
{
    if (c->blocks == CHANGE_SET && !p->blocks) {
        p->blocks = p->blocks_unscanned = true;
        p->severity = SEV_LOW;
    } else if (c->blocks == CHANGE_CLEAR && p->blocks) {
        p->blocks = p->blocks_unscanned = false;
    }
    if (c->severity != SEV_UNKNOWN && c->blocks == CHANGE_KEEP && !p->blocks) {
        return err_set(e, ERR_INVALID, "metadata.severity: set prevent_vul to \"true\" first");
    }
    if (c->severity != SEV_UNKNOWN && p->blocks) {
        p->severity = c->severity;
    }
    return 0;
}

static int follow(void *ctx, struct trust_policy *p, struct err *e)
{
    const struct rules_op *op = ctx;
    const struct project_wish *c = op->c;

    if (c->signed_only == CHANGE_SET && p->need == NEED_OFF) {
        p->need = NEED_PULL;
    } else if (c->signed_only == CHANGE_CLEAR) {
        p->need = NEED_OFF;
    }
    if (c->no_list != CHANGE_KEEP) {
        p->allowed_off = c->no_list == CHANGE_SET;
    }
    if (c->scans != CHANGE_KEEP) {
        p->scans_on_push = c->scans == CHANGE_SET;
    }
    return follow_blocks(c, p, e) < 0 || (c->has_allowed && allow(op->arena, c->allowed, p, e) < 0)
               ? -1
               : 0;
}

int project_wish_check(struct http_req *r, const struct project_wish *c, struct err *e)
{
    struct trust_policy none = {0};

    return follow(&(struct rules_op){c, &r->arena}, &none, e);
}

int project_wish_follow(struct http_req *r, int64_t id, const struct project_wish *c, struct err *e)
{
    const struct harbor *h = r->ctx;
    bool has_rules = c->signed_only != CHANGE_KEEP || c->blocks != CHANGE_KEEP ||
                     c->scans != CHANGE_KEEP || c->severity != SEV_UNKNOWN || c->has_allowed ||
                     c->no_list != CHANGE_KEEP;

    if (has_rules && trust_policy_change(h->supply, &r->arena, id, follow,
                                         &(struct rules_op){c, &r->arena}, e) < 0) {
        return -1;
    }
    return c->is_public == CHANGE_KEEP
               ? 0
               : access_project_change(
                     h->access, r->project,
                     &(struct project_form){.is_public = c->is_public, .ttl_sec = -1}, e);
}

/* --- routes --- */

struct facts_op {
    struct arena *arena;
    struct project_facts *facts;
};

static int facts_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct facts_op *op = ctx;
    struct project_facts *f = op->facts;
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT p.public, p.created_ms, coalesce(json_array_length(g.policy,"
                   " '$.retention.rules'), 0), s.policy FROM projects p"
                   " LEFT JOIN registry_projects g ON g.project_id = p.id AND g.policy <> ''"
                   " LEFT JOIN supply_projects s ON s.project_id = p.id WHERE p.id = ?",
                   "i", f->id) < 0 ||
        (r = query_step(&q, e)) < 0) {
        return -1;
    }
    if (r == 0) {
        return err_set(e, ERR_NOT_FOUND, "the project was deleted meanwhile");
    }
    f->is_public = query_i64(&q, 0) != 0;
    f->created_ms = query_i64(&q, 1);
    f->has_retention = query_i64(&q, 2) > 0;
    return trust_policy_of_text(op->arena, query_str(&q, 3), &f->rules, e);
}

static int facts_of(struct http_req *r, struct project_facts *out, struct err *e)
{
    const struct harbor *h = r->ctx;

    *out = (struct project_facts){0};
    return harbor_project_id(r, &out->id, e) < 0
               ? -1
               : state_read(h->state, facts_fn, &(struct facts_op){&r->arena, out}, e);
}

int harbor_metadatas(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    struct project_facts f;

    if (facts_of(r, &f, e) < 0) {
        return -1;
    }
    metadata_write(&w, &f);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

/* What the project says of one name now; NULL: nothing. In the arena. */
static const char *value_of(struct http_req *r, const struct project_facts *f, const char *name)
{
    SCOPED(buf_done) struct buf all = BUF_MAX(4096);
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct jw w = JW(&all);
    const json_t *value;
    struct err ignored;

    metadata_write(&w, f);
    doc = json_parse(buf_str(&all), &ignored);
    value = json_object_get(doc, name);
    return value ? arena_strdup(&r->arena, str_of(json_string_value(value))) : NULL;
}

/* {name: value} of the name in the path. */
int harbor_metadata(struct http_req *r, struct err *e)
{
    struct buf b = BUF_MAX(4096);
    struct jw w = JW(&b);
    const char *name = arena_strdup(&r->arena, http_path_param(r, "meta")), *value;
    struct project_facts f;

    if (facts_of(r, &f, e) < 0) {
        return -1;
    }
    value = value_of(r, &f, name);
    if (value == NULL) {
        return err_set(e, ERR_NOT_FOUND, "the project has no such metadata");
    }
    jw_object(&w);
    jw_kv_c(&w, name, value);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

static int change_one(struct http_req *r, int64_t id, const char *name, struct str value,
                      struct err *e)
{
    enum meta meta = meta_of(str_of(name));
    struct project_wish c = {0};

    if (meta == META_OTHER) {
        return err_set(e, ERR_INVALID, "%.64s: there is no such metadata here", name);
    }
    if (meta == META_RETENTION) {
        return err_set(e, ERR_INVALID, "retention_id: /retentions makes, changes and deletes it");
    }
    return read_meta(name, value, &c, e) < 0 || project_wish_follow(r, id, &c, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}

/* One that says something already is a conflict: PUT changes it. */
int harbor_metadata_add(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_facts f;
    const char *name, *now;
    struct str value = STR_EMPTY;

    if (http_body_json(r, &body, e) < 0 || facts_of(r, &f, e) < 0) {
        return -1;
    }
    name = json_object_iter_key(json_object_iter(body));
    if (json_object_size(body) != 1 || json_need_str(body, name, &value, e) < 0) {
        return err_set(e, ERR_INVALID, "give one {name: a string}");
    }
    now = value_of(r, &f, name);
    return now != NULL && (!str_eq_c(str_of(now), "false") || str_eq_c(str_of(name), "public"))
               ? err_set(e, ERR_CONFLICT, "%.64s is there: PUT changes it", name)
               : change_one(r, f.id, name, value, e);
}

int harbor_metadata_set(struct http_req *r, struct err *e)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    const char *name = arena_strdup(&r->arena, http_path_param(r, "meta"));
    struct str value = STR_EMPTY;
    int64_t id;

    if (harbor_project_id(r, &id, e) < 0 || http_body_json(r, &body, e) < 0) {
        return -1;
    }
    if (json_need_str(body, name, &value, e) < 0) {
        return err_set(e, ERR_INVALID, "give {\"%.64s\": a string}", name);
    }
    return change_one(r, id, name, value, e);
}

/* Without a severity the lowest one blocks. */
int harbor_metadata_delete(struct http_req *r, struct err *e)
{
    const char *name = arena_strdup(&r->arena, http_path_param(r, "meta"));
    struct project_facts f;
    enum meta meta = meta_of(str_of(name));

    if (facts_of(r, &f, e) < 0) {
        return -1;
    }
    if (meta == META_OTHER || value_of(r, &f, name) == NULL) {
        return err_set(e, ERR_NOT_FOUND, "the project has no such metadata");
    }
    return change_one(r, f.id, name,
                      meta == META_SEVERITY  ? STR("low")
                      : meta == META_NO_LIST ? STR("true")
                                             : STR("false"),
                      e);
}

/* --- the list of the system --- */

int harbor_allowlist(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    struct buf b = BUF_MAX(256 * KIB);
    struct jw w = JW(&b);
    struct trust_policy p;

    if (trust_policy_read(h->supply, &r->arena, TRUST_OF_SYSTEM, &p, e) < 0) {
        return -1;
    }
    jw_object(&w);
    jw_kv_i64(&w, "id", 0);
    jw_kv_i64(&w, "project_id", 0);
    items_write(&w, &p);
    jw_end(&w);
    return harbor_reply_and_free(r, 200, &b, 0, e);
}

int harbor_allowlist_set(struct http_req *r, struct err *e)
{
    const struct harbor *h = r->ctx;
    SCOPED(json_decrefp) json_t *body = NULL;
    struct project_wish c = {0};

    if (http_body_json(r, &body, e) < 0 || read_allowlist(body, &c, e) < 0) {
        return -1;
    }
    if (!c.has_allowed) {
        return err_set(e, ERR_INVALID, "give {\"items\": [{\"cve_id\": \"CVE-2024-1234\"}]}");
    }
    return trust_policy_change(h->supply, &r->arena, TRUST_OF_SYSTEM, follow,
                               &(struct rules_op){&c, &r->arena}, e) < 0
               ? -1
               : http_reply_empty(r, 200, e);
}
