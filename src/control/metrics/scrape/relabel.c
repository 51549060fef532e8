#include "scrape/relabel.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[RELABEL_ACTIONS] = {
    "replace",  "keep",      "drop",      "keepequal", "dropequal", "hashmod",
    "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"};

int relabel_action_of(struct str name, enum relabel_action *out)
{
    for (size_t i = 0; i < RELABEL_ACTIONS; i++) {
        if (str_eq_nocase(name, str_of(names[i]))) {
            *out = (enum relabel_action)i;
            return 0;
        }
    }
    return -1;
}

const char *relabel_action_name(enum relabel_action a)
{
    return names[a];
}

/* --- what belongs together --- */

static bool is_default(struct str s, const char *def)
{
    return s.p == NULL || str_eq_c(s, def);
}

static bool has_variable(struct str s)
{
    return str_find_char(s, '$') >= 0;
}

static int check_target(const struct relabel_rule *r, struct err *e)
{
    enum relabel_action a = r->action;
    bool needs = a == RELABEL_REPLACE || a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL ||
                 a == RELABEL_HASHMOD || a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE;

    if (!needs) {
        return 0;
    }
    if (r->target_label.len == 0) {
        return err_set(e, ERR_INVALID, "the action %s needs target_label", names[a]);
    }
    if (!label_name_is_valid(r->target_label) ||
        (a != RELABEL_REPLACE && has_variable(r->target_label))) {
        return err_set(e, ERR_INVALID, "target_label: \"%.*s\" is no name of a label",
                       STR_ARG(str_first(r->target_label, 100)));
    }
    return 0;
}

static int check_others(const struct relabel_rule *r, struct err *e)
{
    enum relabel_action a = r->action;
    bool by_rule = !is_default(r->regex, "(.*)") || !is_default(r->separator, ";") ||
                   !is_default(r->replacement, "$1") || r->modulus != 0;

    if (a == RELABEL_HASHMOD && r->modulus == 0) {
        return err_set(e, ERR_INVALID, "the action hashmod needs a modulus above 0");
    }
    if ((a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL) && by_rule) {
        return err_set(e, ERR_INVALID,
                       "the action %s takes source_labels and target_label, and nothing else",
                       names[a]);
    }
    if ((a == RELABEL_LABELDROP || a == RELABEL_LABELKEEP) &&
        (r->n_source_labels > 0 || r->target_label.len > 0 || r->modulus != 0 ||
         !is_default(r->separator, ";") || !is_default(r->replacement, "$1"))) {
        return err_set(e, ERR_INVALID, "the action %s takes regex, and nothing else", names[a]);
    }
    if ((a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE) && !is_default(r->replacement, "$1")) {
        return err_set(e, ERR_INVALID, "the action %s takes no replacement", names[a]);
    }
    if (a == RELABEL_LABELMAP && r->replacement.p != NULL && !label_name_is_valid(r->replacement)) {
        return err_set(e, ERR_INVALID, "replacement: \"%.*s\" is no name of a label",
                       STR_ARG(str_first(r->replacement, 100)));
    }
    return 0;
}

int relabel_init(struct relabel_rule *r, struct arena *a, struct err *e)
{
    if (check_target(r, e) < 0 || check_others(r, e) < 0) {
        return -1;
    }
    r->separator = r->separator.p == NULL ? STR(";") : r->separator;
    r->regex = r->regex.p == NULL ? STR("(.*)") : r->regex;
    r->replacement = r->replacement.p == NULL ? STR("$1") : r->replacement;
    r->compiled = label_regex_new(a, r->regex, e);
    return r->compiled == NULL ? err_wrap(e, "regex") : 0;
}

struct relabel relabel_copy(struct arena *a, struct relabel from)
{
    struct relabel to = {.p = arena_new_array(a, struct relabel_rule, from.len + 1)};

    for (size_t i = 0; i < from.len; i++) {
        struct err ignored;

        to.p[i] = from.p[i];
        to.p[i].compiled = label_regex_new(a, from.p[i].regex, &ignored);
        to.len += to.p[i].compiled != NULL; /* it compiled before */
    }
    return to;
}

/* --- the set that is worked on: unsorted, a label without value is not there --- */

struct work {
    struct arena *a;
    struct label *p;
    size_t len, cap;
    struct err *e;
};

static struct label *find(struct work *w, struct str name)
{
    for (size_t i = 0; i < w->len; i++) {
        if (str_eq(w->p[i].name, name)) {
            return &w->p[i];
        }
    }
    return NULL;
}

static struct str get(struct work *w, struct str name)
{
    struct label *l = find(w, name);

    return l == NULL ? STR_EMPTY : l->value;
}

/* Views are kept. */
static int set(struct work *w, struct str name, struct str value)
{
    struct label *l = find(w, name);

    if (l != NULL) {
        l->value = value;
        return 0;
    }
    if (value.len == 0) {
        return 0;
    }
    if (w->len == LIMIT_RELABEL_LABELS) {
        return err_set(w->e, ERR_LIMIT, "relabeling makes more than %d labels",
                       LIMIT_RELABEL_LABELS);
    }
    if (w->len == w->cap) {
        struct label *more = arena_new_array(w->a, struct label, w->cap * 2 + 16);

        if (w->len > 0) {
            memcpy(more, w->p, w->len * sizeof(*more));
        }
        w->p = more;
        w->cap = w->cap * 2 + 16;
    }
    w->p[w->len++] = (struct label){name, value};
    return 0;
}

static struct str joined(struct work *w, const struct relabel_rule *r)
{
    size_t len = 0;
    char *to;

    if (r->n_source_labels == 1) {
        return get(w, r->source_labels[0]);
    }
    for (size_t i = 0; i < r->n_source_labels; i++) {
        len += get(w, r->source_labels[i]).len + r->separator.len;
    }
    to = arena_alloc(w->a, len + 1);
    len = 0;
    for (size_t i = 0; i < r->n_source_labels; i++) {
        struct str v = get(w, r->source_labels[i]);

        if (i > 0) {
            memcpy(to + len, r->separator.p, r->separator.len);
            len += r->separator.len;
        }
        memcpy(to + len, v.p, v.len);
        len += v.len;
    }
    return str_n(to, len);
}

/* --- actions --- */

/* 1, 0: no match, -1. The result is in the arena. */
static int expand(struct work *w, const struct relabel_rule *r, struct str s, struct str template,
                  struct str *out)
{
    struct buf b = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    int matched = label_regex_expand(r->compiled, s, template, &b, w->e);

    if (matched == 1 && b.failed) {
        matched = err_set(w->e, ERR_LIMIT, "relabeling makes a label longer than %d bytes",
                          (int)LIMIT_LABEL_VALUE_BYTES);
    }
    if (matched == 1) {
        *out = arena_str(w->a, buf_str(&b));
    }
    buf_done(&b);
    return matched;
}

static int replace(struct work *w, const struct relabel_rule *r, struct str value)
{
    struct str name = r->target_label, text = STR_EMPTY;
    int matched = expand(w, r, value, r->replacement, &text);

    if (matched <= 0) {
        return matched;
    }
    if (has_variable(r->target_label) && expand(w, r, value, r->target_label, &name) < 0) {
        return -1;
    }
    return label_name_is_valid(name) ? set(w, name, text) : 0;
}

static int hashmod(struct work *w, const struct relabel_rule *r, struct str value)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    uint64_t n = 0;

    if (EVP_Digest(value.p, value.len, sum, NULL, EVP_md5(), NULL) != 1) {
        return err_set(w->e, ERR_INTERNAL, "hashmod: this machine's OpenSSL has no MD5");
    }
    for (size_t i = 8; i < 16; i++) {
        n = n << 8 | sum[i];
    }
    return set(w, r->target_label,
               str_of(arena_printf(w->a, "%llu", (unsigned long long)(n % r->modulus))));
}

static int labelmap(struct work *w, const struct relabel_rule *r)
{
    size_t before = w->len; /* what this rule adds, it does not see */
    struct label *was = arena_new_array(w->a, struct label, before + 1);

    if (before > 0) {
        memcpy(was, w->p, before * sizeof(*was));
    }
    for (size_t i = 0; i < before; i++) {
        struct str name;
        int matched = was[i].value.len == 0 ? 0 : expand(w, r, was[i].name, r->replacement, &name);

        if (matched < 0 ||
            (matched == 1 && label_name_is_valid(name) && set(w, name, was[i].value) < 0)) {
            return -1;
        }
    }
    return 0;
}

/* labeldrop, labelkeep */
static int by_name(struct work *w, const struct relabel_rule *r)
{
    for (size_t i = 0; i < w->len; i++) {
        int m = label_regex_match(r->compiled, w->p[i].name, w->e);

        if (m < 0) {
            return -1;
        }
        if (m == (r->action == RELABEL_LABELDROP)) {
            w->p[i].value = STR_EMPTY;
        }
    }
    return 0;
}

/* 1: go on; 0: drop; -1. */
static int apply(struct work *w, const struct relabel_rule *r)
{
    struct str value = joined(w, r);
    int m;

    switch (r->action) {
    case RELABEL_KEEP:
        return label_regex_match(r->compiled, value, w->e);
    case RELABEL_DROP:
        m = label_regex_match(r->compiled, value, w->e);
        return m < 0 ? m : !m;
    case RELABEL_KEEPEQUAL:
        return str_eq(get(w, r->target_label), value);
    case RELABEL_DROPEQUAL:
        return !str_eq(get(w, r->target_label), value);
    case RELABEL_REPLACE:
        return replace(w, r, value) < 0 ? -1 : 1;
    case RELABEL_HASHMOD:
        return hashmod(w, r, value) < 0 ? -1 : 1;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        value = utf8_cased(w->a, value, r->action == RELABEL_LOWERCASE ? UTF8_LOWER : UTF8_UPPER);
        return set(w, r->target_label, value) < 0 ? -1 : 1;
    case RELABEL_LABELMAP:
        return labelmap(w, r) < 0 ? -1 : 1;
    default:
        return by_name(w, r) < 0 ? -1 : 1;
    }
}

int relabel_apply(struct relabel rules, struct arena *a, struct labels *s, struct err *e)
{
    struct work w = {.a = a, .len = s->len, .cap = s->len, .e = e};
    struct labels out;

    w.p = arena_new_array(a, struct label, s->len + 1);
    if (s->len > 0) {
        memcpy(w.p, s->p, s->len * sizeof(*w.p));
    }
    for (size_t i = 0; i < rules.len; i++) {
        int keep = apply(&w, &rules.p[i]);

        if (keep <= 0) {
            return keep;
        }
    }
    out = (struct labels){w.p, w.len};
    if (labels_normalize(&out, e) < 0) {
        return -1;
    }
    *s = out;
    return 1;
}
