#include "policy.h"

#include "labels.h"

#include <string.h>

static const struct {
    const char *name;
    bool has_n;
} keeps[KEEPS] = {
    [KEEP_LATEST_PUSHED] = {"latest_pushed", true},
    [KEEP_LATEST_PULLED] = {"latest_pulled", true},
    [KEEP_PUSHED_DAYS] = {"pushed_days", true},
    [KEEP_PULLED_DAYS] = {"pulled_days", true},
    [KEEP_ALWAYS] = {"always", false},
};

const char *keep_name(enum keep k)
{
    return keeps[k].name;
}

/* --- reading --- */

enum { RULE_ID_MAX = 1000000000 };

struct reader {
    struct arena *arena;
    struct err_list *errors;
    const char *list; /* "immutable", "retention.rules" */
    size_t index;
};

static void mistake(const struct reader *rd, const char *key, const char *what)
{
    const char *path =
        arena_printf(rd->arena, "%s[%zu]%s%s", rd->list, rd->index, key[0] ? "." : "", key);

    err_list_add(rd->errors, 0, 0, path, "%s", what);
}

static void read_selector(const struct reader *rd, const json_t *rule, const char *key,
                          struct selector *out)
{
    struct glob *glob = arena_new(rd->arena, struct glob);
    struct str text = STR("**"), pattern;
    struct err e;

    if (json_get_str(rule, key, &text, &e) < 0) {
        mistake(rd, key, "expected a pattern, as in \"v*\"");
        return;
    }
    out->text = arena_str(rd->arena, text);
    out->is_not = str_starts(text, STR("!"));
    out->glob = glob;
    pattern = out->is_not ? str_from(text, 1) : text;
    if (glob_compile(glob, pattern, &e) < 0) {
        mistake(rd, key, e.msg);
    }
}

static void read_keep(const struct reader *rd, const json_t *rule, struct tag_rule *out)
{
    struct str word = STR_EMPTY;
    struct err e;

    out->keep = KEEPS;
    if (json_get_str(rule, "keep", &word, &e) == 0) {
        for (unsigned k = 0; k < KEEPS; k++) {
            out->keep = str_eq_c(word, keeps[k].name) ? (enum keep)k : out->keep;
        }
    }
    if (out->keep == KEEPS) {
        mistake(rd, "keep",
                "expected latest_pushed, latest_pulled, pushed_days, pulled_days or always");
        return;
    }
    if (json_get_i64(rule, "n", &out->n, &e) < 0 ||
        (keeps[out->keep].has_n && (out->n < 1 || out->n > POLICY_N_MAX))) {
        mistake(rd, "n", "expected a number from 1 to 100000 (of images, or of days)");
    }
    if (label_names_json(rd->arena, json_object_get(rule, "labels"), "labels", &out->labels, &e) <
        0) {
        mistake(rd, "labels", e.msg);
    }
    if (json_get_bool(rule, "untagged", &out->untagged, &e) < 0) {
        mistake(rd, "untagged", "expected true or false");
    }
}

static void read_rule(const struct reader *rd, const json_t *rule, bool is_retention,
                      struct tag_rule *out)
{
    static const char *const keys[] = {"id", "repositories", "tags",  "keep",
                                       "n",  "untagged",     "labels"};
    struct err e;

    if (!json_is_object(rule) ||
        json_only_keys(rule, keys, is_retention ? ARRAY_LEN(keys) : 3, &e) < 0) {
        mistake(rd, "", json_is_object(rule) ? e.msg : "expected an object");
        return;
    }
    if (json_get_i64(rule, "id", &out->id, &e) < 0 || out->id < 0 || out->id > RULE_ID_MAX) {
        mistake(rd, "id",
                "expected a number that an earlier answer named; leave it out in new rules");
    }
    read_selector(rd, rule, "repositories", &out->repositories);
    read_selector(rd, rule, "tags", &out->tags);
    if (is_retention) {
        read_keep(rd, rule, out);
    }
}

static void read_rules(struct reader rd, const json_t *list, bool is_retention,
                       struct tag_rule **out, size_t *n)
{
    size_t len = json_array_size(list);

    if (list == NULL) {
        return;
    }
    if (!json_is_array(list) || len > POLICY_RULES_MAX) {
        err_list_add(rd.errors, 0, 0, rd.list, "expected a list of at most %d rules",
                     POLICY_RULES_MAX);
        return;
    }
    *out = arena_new_array(rd.arena, struct tag_rule, len > 0 ? len : 1);
    for (rd.index = 0; rd.index < len; rd.index++) {
        read_rule(&rd, json_array_get(list, rd.index), is_retention, &(*out)[rd.index]);
    }
    *n = len;
}

static void read_schedule(const struct reader *rd, const json_t *retention, struct policy *p)
{
    const json_t *schedule = json_object_get(retention, "schedule");
    struct str text = STR_EMPTY;
    struct err e;

    if (schedule == NULL || json_is_null(schedule)) {
        return;
    }
    if (json_get_str(retention, "schedule", &text, &e) < 0 || cron_parse(text, &p->cron, &e) < 0) {
        err_list_add(rd->errors, 0, 0, "retention.schedule", "%s", e.msg);
        return;
    }
    p->schedule = arena_str(rd->arena, text);
}

static void read_retention(struct reader rd, const json_t *retention, struct policy *p)
{
    static const char *const keys[] = {"schedule", "others", "rules"};
    struct str others = STR("keep");
    struct err e;

    if (retention == NULL || json_is_null(retention)) {
        return;
    }
    if (!json_is_object(retention) || json_only_keys(retention, keys, ARRAY_LEN(keys), &e) < 0) {
        err_list_add(rd.errors, 0, 0, "retention", "%s",
                     json_is_object(retention) ? e.msg : "expected an object");
        return;
    }
    read_schedule(&rd, retention, p);
    if (json_get_str(retention, "others", &others, &e) < 0 ||
        !(str_eq_c(others, "keep") || str_eq_c(others, "remove"))) {
        err_list_add(rd.errors, 0, 0, "retention.others",
                     "expected keep or remove: what happens to tags that no rule is about");
    }
    p->removes_others = str_eq_c(others, "remove");
    rd.list = "retention.rules";
    read_rules(rd, json_object_get(retention, "rules"), true, &p->rules, &p->n_rules);
}

static struct tag_rule *rule_at(const struct policy *p, size_t i)
{
    return i < p->n_immutable ? &p->immutable[i] : &p->rules[i - p->n_immutable];
}

/* Ids are given once: whoever names a rule later means the same one. */
static int give_ids(struct policy *p, struct err *e)
{
    size_t n = p->n_immutable + p->n_rules;
    int64_t last = 0;

    for (size_t i = 0; i < n; i++) {
        const struct tag_rule *r = rule_at(p, i);

        for (size_t k = 0; k < i && r->id > 0; k++) {
            if (rule_at(p, k)->id == r->id) {
                return err_set(e, ERR_INVALID, "policy: rules have the id %lld twice",
                               (long long)r->id);
            }
        }
        last = r->id > last ? r->id : last;
    }
    for (size_t i = 0; i < n; i++) {
        struct tag_rule *r = rule_at(p, i);

        r->id = r->id > 0 ? r->id : ++last;
    }
    return last <= RULE_ID_MAX
               ? 0
               : err_set(e, ERR_INVALID, "policy: an id is larger than %d", RULE_ID_MAX);
}

int policy_of_json(struct arena *a, const json_t *doc, struct policy *out, struct err *e)
{
    static const char *const keys[] = {"immutable", "retention"};
    SCOPED(err_list_done) struct err_list errors = {0};
    struct reader rd = {.arena = a, .errors = &errors, .list = "immutable"};
    struct policy p = {0};

    if (!json_is_object(doc)) {
        return err_set(e, ERR_INVALID, "policy: expected an object");
    }
    if (json_only_keys(doc, keys, ARRAY_LEN(keys), e) < 0) {
        return err_wrap(e, "policy");
    }
    read_rules(rd, json_object_get(doc, "immutable"), false, &p.immutable, &p.n_immutable);
    read_retention(rd, json_object_get(doc, "retention"), &p);
    if (err_list_result(&errors, "policy", e) < 0) {
        return -1;
    }
    if (give_ids(&p, e) < 0) {
        return -1;
    }
    *out = p;
    return 0;
}

int policy_parse(struct arena *a, struct str text, struct policy *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *doc = json_parse(text, e);

    return doc == NULL ? -1 : policy_of_json(a, doc, out, e);
}

/* --- writing --- */

static void write_rule(const struct tag_rule *r, bool is_retention, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id", r->id);
    jw_kv_str(w, "repositories", r->repositories.text);
    jw_kv_str(w, "tags", r->tags.text);
    if (is_retention) {
        jw_kv_bool(w, "untagged", r->untagged);
        jw_key(w, "labels");
        label_names_write(w, r->labels);
        jw_kv_c(w, "keep", keeps[r->keep].name);
        if (keeps[r->keep].has_n) {
            jw_kv_i64(w, "n", r->n);
        }
    }
    jw_end(w);
}

void policy_write(const struct policy *p, struct jw *w)
{
    jw_object(w);
    jw_key(w, "immutable");
    jw_array(w);
    for (size_t i = 0; i < p->n_immutable; i++) {
        write_rule(&p->immutable[i], false, w);
    }
    jw_end(w);
    jw_key(w, "retention");
    jw_object(w);
    jw_kv_str_or_null(w, "schedule", p->schedule);
    jw_kv_c(w, "others", p->removes_others ? "remove" : "keep");
    jw_key(w, "rules");
    jw_array(w);
    for (size_t i = 0; i < p->n_rules; i++) {
        write_rule(&p->rules[i], true, w);
    }
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

/* --- asking --- */

bool selector_matches(const struct selector *s, struct str name)
{
    return glob_match(s->glob, name) != s->is_not;
}

const struct tag_rule *policy_immutable(const struct policy *p, struct str repository,
                                        struct str tag)
{
    for (size_t i = 0; i < p->n_immutable; i++) {
        if (selector_matches(&p->immutable[i].repositories, repository) &&
            selector_matches(&p->immutable[i].tags, tag)) {
            return &p->immutable[i];
        }
    }
    return NULL;
}
