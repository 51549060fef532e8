#include "labels/labels.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct str labels_get(struct labels s, struct str name)
{
    for (size_t i = 0; i < s.len; i++) {
        if (str_eq(s.p[i].name, name)) {
            return s.p[i].value;
        }
    }
    return STR_EMPTY;
}

int labels_cmp(struct labels a, struct labels b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int by_name = str_cmp(a.p[i].name, b.p[i].name);
        int by_value = by_name != 0 ? by_name : str_cmp(a.p[i].value, b.p[i].value);

        if (by_value != 0) {
            return by_value;
        }
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool labels_eq(struct labels a, struct labels b)
{
    return a.len == b.len && labels_cmp(a, b) == 0;
}

/* FNV-1a over words of eight bytes, mixed at the end. */
uint64_t labels_mix(uint64_t h, struct str s)
{
    while (s.len >= 8) {
        uint64_t w;

        memcpy(&w, s.p, 8);
        h = (h ^ w) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 29;
        s = str_from(s, 8);
    }
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ULL;
    }
    return (h ^ 0xff) * 0x9e3779b97f4a7c15ULL; /* "ab","c" is not "a","bc" */
}

uint64_t labels_hash(struct labels s)
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < s.len; i++) {
        h = labels_mix(labels_mix(h, s.p[i].name), s.p[i].value);
    }
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93ULL;
    return h ^ h >> 32;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

int labels_normalize(struct labels *s, struct err *e)
{
    size_t kept = 0;

    if (s->len > 1) {
        qsort(s->p, s->len, sizeof(struct label), by_name);
    }
    for (size_t i = 0; i < s->len; i++) {
        if (i > 0 && str_eq(s->p[i].name, s->p[i - 1].name)) {
            return err_set(e, ERR_INVALID, "the label %.*s stands there twice",
                           STR_ARG(s->p[i].name));
        }
    }
    for (size_t i = 0; i < s->len; i++) {
        if (s->p[i].value.len > 0) {
            s->p[kept++] = s->p[i];
        }
    }
    s->len = kept;
    return 0;
}

struct labels labels_copy(struct arena *a, struct labels s)
{
    struct labels copy = {.len = s.len};
    size_t bytes = 0;
    char *to;

    for (size_t i = 0; i < s.len; i++) {
        bytes += s.p[i].name.len + s.p[i].value.len;
    }
    copy.p = arena_new_array(a, struct label, s.len + 1);
    to = arena_alloc(a, bytes + 1);
    for (size_t i = 0; i < s.len; i++) {
        struct label *l = &copy.p[i];

        memcpy(to, s.p[i].name.p, s.p[i].name.len);
        l->name = str_n(to, s.p[i].name.len);
        to += l->name.len;
        memcpy(to, s.p[i].value.p, s.p[i].value.len);
        l->value = str_n(to, s.p[i].value.len);
        to += l->value.len;
    }
    return copy;
}

static bool is_plain(struct str s, bool colons)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');

        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0;
}

bool label_name_is_plain(struct str s)
{
    return is_plain(s, false);
}

bool metric_name_is_plain(struct str s)
{
    return is_plain(s, true);
}

bool label_name_is_valid(struct str s)
{
    return s.len > 0 && s.len <= LIMIT_LABEL_NAME_BYTES && str_is_utf8(s);
}

const char *label_match_sign(enum label_match op)
{
    static const char *const signs[] = {"=", "!=", "=~", "!~"};

    return signs[op];
}

int label_matcher_init(struct label_matcher *m, struct arena *a, struct str name,
                       enum label_match op, struct str value, struct err *e)
{
    *m = (struct label_matcher){.name = name, .value = value, .op = op};
    if (op == LABEL_LIKE || op == LABEL_NOT_LIKE) {
        m->regex = label_regex_new(a, value, e);
        return m->regex == NULL ? -1 : 0;
    }
    return 0;
}

int label_matcher_match(const struct label_matcher *m, struct str value, struct err *e)
{
    int r;

    switch (m->op) {
    case LABEL_IS:
        return str_eq(m->value, value);
    case LABEL_IS_NOT:
        return !str_eq(m->value, value);
    default:
        r = label_regex_match(m->regex, value, e);
        return r < 0 ? r : r == (m->op == LABEL_LIKE);
    }
}

int label_matchers_match(const struct label_matcher *m, size_t n, struct labels s, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int r = label_matcher_match(&m[i], labels_get(s, m[i].name), e);

        if (r <= 0) {
            return r;
        }
    }
    return 1;
}
