#include "names.h"

#include "base/limits.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length of a separator inside a part: one dot, one or two underscores, any number of dashes. */
static size_t separator_len(struct str s)
{
    size_t n = 0;

    while (n < s.len && s.p[n] == '-') {
        n++;
    }
    if (n == 0 && s.len > 0 && (s.p[0] == '.' || s.p[0] == '_')) {
        n = s.len > 1 && s.p[0] == '_' && s.p[1] == '_' ? 2 : 1;
    }
    return n;
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* ; position of the first byte that does not fit. */
static size_t part_len(struct str part)
{
    size_t i = 0;

    for (;;) {
        size_t start = i, sep;

        while (i < part.len && is_word(part.p[i])) {
            i++;
        }
        if (i == start || i == part.len) {
            return i;
        }
        sep = separator_len(str_from(part, i));
        if (sep == 0 || i + sep == part.len) {
            return i;
        }
        i += sep;
    }
}

int name_check(struct str name, struct err *e)
{
    struct str rest = name;
    size_t parts = 0;

    if (name.len > LIMIT_REPO_NAME_BYTES) {
        return err_set(e, ERR_INVALID, "repository name has %zu bytes, more than %d", name.len,
                       LIMIT_REPO_NAME_BYTES);
    }
    while (rest.p != NULL) {
        struct str part = str_cut(&rest, '/');
        size_t good = part_len(part);

        if (part.len == 0 || good < part.len) {
            return err_set(e, ERR_INVALID,
                           "repository name: position %zu: expected lower-case letters and digits, "
                           "joined by '.', '_', '__' or '-'",
                           (size_t)(part.p - name.p) + good + 1);
        }
        parts++;
    }
    if (parts < 2) {
        return err_set(e, ERR_INVALID,
                       "repository name \"%.*s\" names no project: use project/name, for example "
                       "library/%.*s",
                       STR_ARG(name), STR_ARG(name));
    }
    return 0;
}

struct str name_project(struct str name)
{
    return str_cut(&name, '/');
}

int tag_check(struct str tag, struct err *e)
{
    if (tag.len == 0 || tag.len > LIMIT_TAG_BYTES) {
        return err_set(e, ERR_INVALID, "tag takes 1 to %d bytes, got %zu", LIMIT_TAG_BYTES,
                       tag.len);
    }
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.p[i];

        if (!(is_word(c) || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && (c == '.' || c == '-')))) {
            return err_set(e, ERR_INVALID,
                           "tag: position %zu: expected letters, digits, '_', and inside also '.' "
                           "and '-'",
                           i + 1);
        }
    }
    return 0;
}

int reference_of(struct str repository, struct str ref, struct reference *out, struct err *e)
{
    struct reference r = {.repository = repository};

    if (name_check(repository, e) < 0) {
        return -1;
    }
    if (str_find_char(ref, ':') >= 0) {
        if (content_digest_parse(ref, r.digest, e) < 0) {
            return -1;
        }
    } else if (tag_check(ref, e) < 0) {
        return -1;
    } else {
        r.tag = ref;
    }
    *out = r;
    return 0;
}

/* A first part with a dot or a port is a host: "docker.io/library/alpine". */
static int refuse_host(struct str text, struct err *e)
{
    struct str first = name_project(text);

    if (first.len < text.len && (str_find_char(first, ':') >= 0 || str_eq_c(first, "localhost") ||
                                 str_find_char(first, '.') >= 0)) {
        struct str rest = str_from(text, first.len + 1);

        if (str_find_char(rest, '/') >= 0) {
            return err_set(e, ERR_INVALID,
                           "image \"%.*s\": images come from this registry, leave \"%.*s/\" out "
                           "(and push it here first if it is elsewhere)",
                           STR_ARG(text), STR_ARG(first));
        }
    }
    return 0;
}

int reference_parse(struct str text, struct reference *out, struct err *e)
{
    ptrdiff_t at = str_find_char(text, '@');
    struct str name = at >= 0 ? str_first(text, (size_t)at) : text;
    ptrdiff_t colon = str_rfind_char(name, ':');
    struct str tag = STR("latest");
    struct reference r = {0};

    if (refuse_host(text, e) < 0) {
        return -1;
    }
    if (colon >= 0) {
        tag = str_from(name, (size_t)colon + 1);
        name = str_first(name, (size_t)colon);
    }
    if (name_check(name, e) < 0 || tag_check(tag, e) < 0 ||
        (at >= 0 && content_digest_parse(str_from(text, (size_t)at + 1), r.digest, e) < 0)) {
        return err_wrap(e, "image \"%.*s\"", STR_ARG(str_first(text, 300)));
    }
    r.repository = name;
    r.tag = at >= 0 ? (struct str){0} : tag;
    *out = r;
    return 0;
}

int scope_parse(struct str text, struct scope *out, struct err *e)
{
    static const struct {
        const char *name;
        unsigned bits;
    } actions[] = {
        {"pull", SCOPE_PULL}, {"push", SCOPE_PUSH}, {"delete", SCOPE_DELETE}, {"*", SCOPE_ALL}};
    ptrdiff_t first = str_find_char(text, ':'), last = str_rfind_char(text, ':');
    struct scope s = {0};
    struct str rest;

    if (first <= 0 || last == first) {
        return err_set(e, ERR_INVALID, "scope \"%.*s\": expected type:name:actions",
                       STR_ARG(str_first(text, 300)));
    }
    s.type = str_first(text, (size_t)first);
    s.name = str_first(str_from(text, (size_t)first + 1), (size_t)(last - first - 1));
    rest = str_from(text, (size_t)last + 1);
    while (rest.p != NULL) {
        struct str action = str_cut(&rest, ',');

        for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
            s.actions |= str_eq_c(action, actions[i].name) ? actions[i].bits : 0;
        }
    }
    *out = s;
    return 0;
}

int chunk_range_parse(struct str text, int64_t *first, int64_t *last, struct err *e)
{
    struct str s = str_trim(text), range, end;
    uint64_t a, b;

    if (str_starts(s, STR("bytes "))) {
        s = str_trim(str_from(s, 6));
    }
    range = str_cut(&s, '/'); /* the total is not known to all clients, and not needed */
    end = range;
    if (str_find_char(range, '-') < 0 || str_to_u64(str_cut(&end, '-'), &a) < 0 ||
        str_to_u64(end, &b) < 0 || b < a || b >= INT64_MAX) {
        return err_set(e, ERR_INVALID, "Content-Range \"%.*s\": expected first-last, like 0-1023",
                       STR_ARG(str_first(text, 100)));
    }
    *first = (int64_t)a;
    *last = (int64_t)b;
    return 0;
}

int thing_name_check(struct str name, struct err *e)
{
    static const struct str signs = STR("._-");
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES;

    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.p[i];

        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             (i > 0 && str_find_char(signs, c) >= 0);
    }
    return ok ? 0
              : err_set(e, ERR_INVALID,
                        "name: 1 to %d of a-z 0-9 . _ -, beginning with a letter or a digit",
                        LIMIT_NAME_BYTES);
}
