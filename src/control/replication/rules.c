/* Rules: what they say, read from JSON and from rows. */
#include "replication_priv.h"

#include "base/json.h"
#include "list_http.h"
#include "registry/labels.h"
#include "registry/names.h"

#include <string.h>

static const char *const directions[] = {"push", "pull"};
static const char *const kinds[] = {"all", "images", "artifacts"};
static const char *const triggers[] = {"manual", "schedule", "event"};

/* --- patterns --- */

int pattern_parse(struct arena *a, struct str text, const char *what, struct pattern *out,
                  struct err *e)
{
    struct pattern p = {.text = text, .glob = arena_new(a, struct glob), .is_plain = text.len > 0};
    struct str inner = text;

    if (inner.len > 0 && inner.p[0] == '!') {
        p.is_not = true;
        inner = str_from(inner, 1);
    }
    if (inner.len == 0) {
        return err_set(e, ERR_INVALID, "%s: empty; ** means all", what);
    }
    for (size_t i = 0; i < text.len; i++) {
        p.is_plain = p.is_plain && strchr("*?[]{}\\!", text.p[i]) == NULL;
    }
    if (glob_compile(p.glob, inner, e) < 0) {
        return err_wrap(e, "%s", what);
    }
    *out = p;
    return 0;
}

bool pattern_matches(const struct pattern *p, struct str name)
{
    return glob_match(p->glob, name) != p->is_not;
}

/* --- JSON --- */

static int one_of(const json_t *doc, const char *key, const char *const *names, size_t n, int *out,
                  struct err *e)
{
    struct str text = {0};

    if (json_get_str(doc, key, &text, e) < 0) {
        return -1;
    }
    if (text.p == NULL) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(text, names[i])) {
            *out = (int)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "%s: expected %s, %s%s%s", key, names[0], names[1],
                   n > 2 ? " or " : "", n > 2 ? names[2] : "");
}

static int check_destination(const struct rule *rule, struct err *e)
{
    struct str d = rule->destination;

    if (d.len > 200) {
        return err_set(e, ERR_INVALID, "destination: at most 200 bytes");
    }
    if (d.len > 0 && (d.p[0] == '/' || d.p[d.len - 1] == '/')) {
        return err_set(e, ERR_INVALID,
                       "destination: a project, or project/prefix, without a slash at its ends");
    }
    for (size_t i = 0; i < d.len; i++) {
        char c = d.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("._-/", c) != NULL))) {
            return err_set(e, ERR_INVALID, "destination: only a-z 0-9 . _ - and /");
        }
    }
    return 0;
}

static int check_trigger(struct rule *rule, struct err *e)
{
    if (rule->trigger == TRIGGER_EVENT && rule->direction == PULLS) {
        return err_set(e, ERR_INVALID,
                       "trigger: another registry does not tell us of its pushes; pull on a "
                       "schedule, or let it push");
    }
    if (rule->trigger == TRIGGER_SCHEDULE && rule->schedule.len == 0) {
        return err_set(e, ERR_INVALID, "schedule is missing: '@daily', or '30 3 * * *' (UTC)");
    }
    if (rule->trigger != TRIGGER_SCHEDULE && rule->schedule.len > 0) {
        return err_set(e, ERR_INVALID, "schedule: only with the trigger 'schedule'");
    }
    if (rule->schedule.len > 0 && cron_parse(rule->schedule, &rule->cron, e) < 0) {
        return err_wrap(e, "schedule");
    }
    return 0;
}

static int check_numbers(const struct rule *rule, struct err *e)
{
    if (rule->strip_parts < 0 || rule->strip_parts > 8) {
        return err_set(e, ERR_INVALID, "strip_parts: 0 to 8");
    }
    return rule->rate_bytes != 0 &&
                   (rule->rate_bytes < RATE_BYTES_MIN || rule->rate_bytes > INT64_MAX / 2)
               ? err_set(e, ERR_INVALID, "rate_bytes: bytes a second, at least %d; 0: no limit",
                         RATE_BYTES_MIN)
               : 0;
}

static int get_enums(const json_t *doc, struct rule *rule, struct err *e)
{
    int direction = (int)rule->direction, kind = (int)rule->kind, trigger = (int)rule->trigger;

    if (one_of(doc, "direction", directions, ARRAY_LEN(directions), &direction, e) < 0 ||
        one_of(doc, "kind", kinds, ARRAY_LEN(kinds), &kind, e) < 0 ||
        one_of(doc, "trigger", triggers, ARRAY_LEN(triggers), &trigger, e) < 0) {
        return -1;
    }
    rule->direction = (enum direction)direction;
    rule->kind = (enum copy_kind)kind;
    rule->trigger = (enum trigger)trigger;
    return 0;
}

static int get_texts(const json_t *doc, struct rule *rule, struct err *e)
{
    if (json_get_str(doc, "name", &rule->name, e) < 0 ||
        json_get_str(doc, "registry", &rule->registry, e) < 0 ||
        json_get_str(doc, "repositories", &rule->repositories.text, e) < 0 ||
        json_get_str(doc, "tags", &rule->tags.text, e) < 0 ||
        json_get_str(doc, "destination", &rule->destination, e) < 0) {
        return -1;
    }
    if (json_is_null(json_object_get(doc, "schedule"))) {
        rule->schedule = STR_EMPTY;
        return 0;
    }
    return json_get_str(doc, "schedule", &rule->schedule, e);
}

static int get_rest(const json_t *doc, struct rule *rule, struct err *e)
{
    return json_get_i64(doc, "strip_parts", &rule->strip_parts, e) < 0 ||
                   json_get_i64(doc, "rate_bytes", &rule->rate_bytes, e) < 0 ||
                   json_get_bool(doc, "mirror_deletions", &rule->mirror_deletions, e) < 0 ||
                   json_get_bool(doc, "with_referrers", &rule->with_referrers, e) < 0 ||
                   json_get_bool(doc, "enabled", &rule->enabled, e) < 0
               ? -1
               : 0;
}

static int get_labels(struct arena *a, const json_t *doc, struct rule *rule, struct err *e)
{
    const json_t *list = json_object_get(doc, "labels");

    if (list != NULL && label_names_json(a, list, "labels", &rule->labels, e) < 0) {
        return -1;
    }
    if (rule->labels.len > 0 && rule->direction == PULLS) {
        return err_set(e, ERR_INVALID,
                       "labels: another registry does not tell us of its labels; choose by "
                       "repositories and tags, or let it push");
    }
    return rule->labels.len > 0 && rule->mirror_deletions
               ? err_set(e, ERR_INVALID,
                         "mirror_deletions: not together with labels, which the other registry "
                         "does not know: it could not be told what is yours there")
               : 0;
}

int rule_read_json(struct arena *a, const json_t *doc, struct rule *rule, struct err *e)
{
    static const char *const keys[] = {
        "name",       "direction",   "registry",         "repositories",   "tags",
        "kind",       "destination", "strip_parts",      "trigger",        "schedule",
        "rate_bytes", "enabled",     "mirror_deletions", "with_referrers", "labels"};

    if (json_only_keys(doc, keys, ARRAY_LEN(keys), e) < 0 || get_enums(doc, rule, e) < 0 ||
        get_texts(doc, rule, e) < 0 || get_rest(doc, rule, e) < 0 ||
        get_labels(a, doc, rule, e) < 0 || thing_name_check(rule->name, e) < 0 ||
        check_destination(rule, e) < 0 || check_numbers(rule, e) < 0) {
        return -1;
    }
    /* A rule that is changed to another trigger need not say that it has no schedule any more. */
    if (rule->trigger != TRIGGER_SCHEDULE && json_object_get(doc, "schedule") == NULL) {
        rule->schedule = STR_EMPTY;
    }
    return check_trigger(rule, e) < 0 ||
                   pattern_parse(a, rule->repositories.text, "repositories", &rule->repositories,
                                 e) < 0 ||
                   pattern_parse(a, rule->tags.text, "tags", &rule->tags, e) < 0
               ? -1
               : 0;
}

void rule_write_json(const struct rule *rule, struct jw *w)
{
    jw_object(w);
    jw_kv_i64(w, "id", rule->id);
    jw_kv_str(w, "name", rule->name);
    jw_kv_c(w, "direction", directions[rule->direction]);
    jw_kv_str(w, "registry", rule->registry);
    jw_kv_str(w, "repositories", rule->repositories.text);
    jw_kv_str(w, "tags", rule->tags.text);
    jw_key(w, "labels");
    label_names_write(w, rule->labels);
    jw_kv_c(w, "kind", kinds[rule->kind]);
    jw_kv_str(w, "destination", rule->destination);
    jw_kv_i64(w, "strip_parts", rule->strip_parts);
    jw_kv_c(w, "trigger", triggers[rule->trigger]);
    jw_key(w, "schedule");
    if (rule->schedule.len > 0) {
        jw_str(w, rule->schedule);
    } else {
        jw_null(w);
    }
    jw_kv_bool(w, "mirror_deletions", rule->mirror_deletions);
    jw_kv_bool(w, "with_referrers", rule->with_referrers);
    jw_kv_i64(w, "rate_bytes", rule->rate_bytes);
    jw_kv_bool(w, "enabled", rule->enabled);
    jw_kv_str(w, "created_by", rule->created_by);
    jw_kv_time(w, "created_at", rule->created_ms);
    jw_kv_time(w, "next_run_at", rule->next_run_ms);
    jw_end(w);
}

int rule_destination(const struct rule *rule, struct arena *a, struct str repository,
                     struct str *out, struct err *e)
{
    struct str rest = repository;

    for (int64_t i = 0; i < rule->strip_parts && str_find_char(rest, '/') >= 0; i++) {
        (void)str_cut(&rest, '/');
    }
    if (rest.len == 0 || rest.len + rule->destination.len > 400) {
        return err_set(e, ERR_INVALID, "the name %.*s is too long to be copied",
                       STR_ARG(str_first(repository, 200)));
    }
    *out = rule->destination.len == 0
               ? arena_str(a, rest)
               : str_of(arena_printf(a, "%.*s/%.*s", STR_ARG(rule->destination), STR_ARG(rest)));
    return 0;
}

/* --- rows --- */

#define COLUMNS                                                                                    \
    "r.id, r.name, r.direction, r.registry_id, g.name, r.repositories, r.tags, r.kind,"            \
    " r.destination, r.strip_parts, r.trigger, r.schedule, r.mirror_deletions, r.with_referrers,"  \
    " r.rate_bytes, r.enabled, r.created_by, r.created_ms, r.next_run_ms, r.labels"
#define FROM " FROM replication_rules r JOIN replication_registries g ON g.id = r.registry_id "

static int read_rule(const struct query *q, struct arena *a, struct rule *out, struct err *e)
{
    *out = (struct rule){.id = query_i64(q, 0),
                         .name = arena_str(a, query_str(q, 1)),
                         .direction = query_i64(q, 2) == PULLS ? PULLS : PUSHES,
                         .registry_id = query_i64(q, 3),
                         .registry = arena_str(a, query_str(q, 4)),
                         .kind = (enum copy_kind)query_i64(q, 7),
                         .destination = arena_str(a, query_str(q, 8)),
                         .strip_parts = query_i64(q, 9),
                         .trigger = (enum trigger)query_i64(q, 10),
                         .schedule = arena_str(a, query_str(q, 11)),
                         .mirror_deletions = query_i64(q, 12) != 0,
                         .with_referrers = query_i64(q, 13) != 0,
                         .rate_bytes = query_i64(q, 14),
                         .enabled = query_i64(q, 15) != 0,
                         .created_by = arena_str(a, query_str(q, 16)),
                         .created_ms = query_i64(q, 17),
                         .next_run_ms = query_i64(q, 18),
                         .labels = arena_str(a, query_str(q, 19))};
    return pattern_parse(a, arena_str(a, query_str(q, 5)), "repositories", &out->repositories, e) <
                       0 ||
                   pattern_parse(a, arena_str(a, query_str(q, 6)), "tags", &out->tags, e) < 0 ||
                   check_trigger(out, e) < 0
               ? -1
               : 0;
}

static int one_rule(struct query *q, struct arena *a, struct rule *out, struct err *e)
{
    int r = query_step(q, e);

    return r > 0 ? read_rule(q, a, out, e)
           : r < 0
               ? -1
               : err_set(e, ERR_NOT_FOUND, "there is no such rule: strata replication rule list");
}

int rule_of_id(struct state_db *db, struct arena *a, int64_t id, struct rule *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, "SELECT " COLUMNS FROM "WHERE r.id = ?", "i", id) < 0
               ? -1
               : one_rule(&q, a, out, e);
}

int rule_find(struct state_db *db, struct arena *a, struct str name, struct rule *out,
              struct err *e)
{
    SCOPED(query_done) struct query q = {0};

    return query_open(&q, db, e, "SELECT " COLUMNS FROM "WHERE r.name = ?", "s", name) < 0
               ? -1
               : one_rule(&q, a, out, e);
}

int rules_with(struct state_db *db, struct arena *a, enum trigger t, rule_list *out, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " COLUMNS FROM "WHERE r.trigger = ? AND r.enabled = 1 ORDER BY r.id",
                   "i", (int64_t)t) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        if (read_rule(&q, a, vec_push(out), e) < 0) {
            return -1;
        }
    }
    return r;
}

int rules_page(struct state_db *db, struct listing *l, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e,
                   "SELECT " COLUMNS FROM "WHERE r.name > ? AND has_words(?, r.name, g.name,"
                   " r.repositories, r.destination, r.labels) ORDER BY r.name LIMIT ?",
                   "ssi", l->after, l->q, l->limit + 1) < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct rule rule;

        if (listing_is_full(l)) {
            return 0;
        }
        if (read_rule(&q, l->a, &rule, e) < 0) {
            return -1;
        }
        rule_write_json(&rule, l->w);
        l->last = rule.name;
    }
    return r;
}
