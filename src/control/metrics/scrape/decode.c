#include "scrape/decode.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void remember(struct err_list *all, const char *msg)
{
    for (size_t i = 0; i < all->len; i++) {
        if (strcmp(all->items[i].msg, msg) == 0) {
            return; /* what an anchor names is read again and again */
        }
    }
    err_list_add(all, 0, 0, NULL, "%s", msg);
}

#undef decode_refuse
int decode_refuse(const struct decoder *d, const struct yaml_node *n, const char *fmt, ...)
{
    char what[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_set(d->e, ERR_INVALID, "%s:%u: %.*s%s%s", d->file, n->line,
            (int)(n->key.len < 80 ? n->key.len : 80), n->key.p, n->key.len > 0 ? ": " : "", what);
    if (d->all != NULL) {
        remember(d->all, d->e->msg);
    }
    return -1;
}
#define decode_refuse(...) err_minus_one(decode_refuse(__VA_ARGS__))

/* --- values --- */

/* (Ny)?(Nw)?(Nd)?(Nh)?(Nm)?(Ns)?(Nms)?: in this order, each once. */
int decode_ms(struct str s, int64_t *out)
{
    static const struct {
        struct str unit;
        int64_t ms;
    } units[] = {{STR("y"), 31536000000}, {STR("w"), 604800000}, {STR("d"), 86400000},
                 {STR("h"), 3600000},     {STR("m"), 60000},     {STR("s"), 1000},
                 {STR("ms"), 1}};
    int64_t sum = 0;
    size_t next = 0;

    if (str_eq(s, STR("0"))) {
        *out = 0;
        return 0;
    }
    if (s.len == 0) {
        return -1;
    }
    while (s.len > 0) {
        size_t digits = 0, letters, i;
        uint64_t n;
        struct str unit;

        while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9') {
            digits++;
        }
        for (letters = digits; letters < s.len && s.p[letters] >= 'a' && s.p[letters] <= 'z';) {
            letters++;
        }
        unit = str_n(s.p + digits, letters - digits);
        for (i = next; i < ARRAY_LEN(units) && !str_eq(unit, units[i].unit);) {
            i++;
        }
        if (i == ARRAY_LEN(units) || str_to_u64(str_first(s, digits), &n) < 0 ||
            n > (uint64_t)((INT64_MAX / 1000000 - sum) / units[i].ms)) {
            return -1;
        }
        sum += (int64_t)n * units[i].ms;
        next = i + 1;
        s = str_from(s, letters);
    }
    *out = sum;
    return 0;
}

char *decode_ms_text(struct arena *a, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
        bool only_whole; /* weeks and years are written when nothing is left */
    } units[] = {{"y", 31536000000, true}, {"w", 604800000, true}, {"d", 86400000, true},
                 {"h", 3600000, false},    {"m", 60000, false},    {"s", 1000, false},
                 {"ms", 1, false}};
    char text[128] = "0s";
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(units) && ms > 0; i++) {
        if (ms >= units[i].ms && (!units[i].only_whole || ms % units[i].ms == 0)) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%lld%s",
                                    (long long)(ms / units[i].ms), units[i].unit);
            ms %= units[i].ms;
        }
    }
    return arena_strdup(a, str_of(text));
}

/* "10MB", "1.5GiB": powers of 1024 both, as in Prometheus. */
static int read_bytes(struct str s, int64_t *out)
{
    static const char units[] = "BKMGTPE";
    char text[32], *end;
    double v;
    const char *unit;
    int64_t factor = 1;

    if (str_eq(s, STR("0"))) {
        *out = 0;
        return 0;
    }
    if (str_copy(s, text, sizeof(text)) < 0 || s.len == 0 || strspn(text, "0123456789.") == s.len ||
        text[0] < '0' || text[0] > '9') {
        return -1;
    }
    v = strtod(text, &end);
    unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit == NULL) {
        return -1;
    }
    for (ptrdiff_t i = unit - units; i > 0; i--) {
        factor *= 1024;
    }
    if (strcmp(end + 1, *end == 'B' ? "" : "B") != 0 &&
        (*end == 'B' || strcmp(end + 1, "iB") != 0)) {
        return -1;
    }
    if (!(v * (double)factor < 9e18)) {
        return -1;
    }
    *out = (int64_t)(v * (double)factor);
    return 0;
}

static int read_bool(struct str s, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes",
                                      "YES",  "on",   "On",   "ON"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No",
                                     "NO",    "off",   "Off",   "OFF"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (str_eq_c(s, yes[i]) || str_eq_c(s, no[i])) {
            *out = str_eq_c(s, yes[i]);
            return 0;
        }
    }
    return -1;
}

struct str decode_path(const struct decoder *d, struct str path)
{
    const char *slash = strrchr(d->file, '/');

    if (path.len == 0 || path.p[0] == '/' || slash == NULL) {
        return path;
    }
    return str_of(arena_printf(d->a, "%.*s/%.*s", (int)(slash - d->file), d->file, STR_ARG(path)));
}

int decode_strs(const struct decoder *d, const struct yaml_node *n, struct strs *out)
{
    struct strs list = {.p = arena_new_array(d->a, struct str, n->n_children + 1)};

    if (yaml_is_null(n)) {
        *out = list;
        return 0;
    }
    if (n->kind != YAML_LIST) {
        return decode_refuse(d, n, "expected a list");
    }
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        if (c->kind != YAML_SCALAR) {
            return decode_refuse(d, c, "expected a text");
        }
        list.p[list.len++] = c->scalar;
    }
    *out = list;
    return 0;
}

int decode_labels(const struct decoder *d, const struct yaml_node *n, struct labels *out)
{
    struct labels s = {.p = arena_new_array(d->a, struct label, n->n_children + 1)};

    if (yaml_is_null(n)) {
        *out = s;
        return 0;
    }
    if (n->kind != YAML_MAP) {
        return decode_refuse(d, n, "expected a map of labels");
    }
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        if (c->kind != YAML_SCALAR) {
            return decode_refuse(d, c, "expected a text");
        }
        if (!label_name_is_valid(c->key)) {
            return decode_refuse(d, c, "this is no name of a label");
        }
        s.p[s.len++] = (struct label){c->key, yaml_is_null(c) ? STR_EMPTY : c->scalar};
    }
    *out = s;
    return 0;
}

/* --- maps --- */

static int read_scalar(const struct decoder *d, const struct yaml_node *n, enum key_type type,
                       void *out)
{
    struct str s = n->scalar;

    if (n->kind != YAML_SCALAR) {
        return decode_refuse(d, n, "expected a single value");
    }
    switch (type) {
    case KEY_BOOL:
        return read_bool(s, out) < 0 ? decode_refuse(d, n, "expected true or false") : 0;
    case KEY_MS:
        return decode_ms(s, out) < 0
                   ? decode_refuse(d, n, "\"%.*s\" is no duration: give 15s, 1m, 1h30m, ...",
                                   STR_ARG(str_first(s, 60)))
                   : 0;
    case KEY_BYTES:
        return read_bytes(s, out) < 0
                   ? decode_refuse(d, n, "\"%.*s\" is no size: give 512KB, 10MB, ...",
                                   STR_ARG(str_first(s, 60)))
                   : 0;
    case KEY_COUNT:
        return str_to_u64(s, out) < 0 ? decode_refuse(d, n, "expected a whole number from 0") : 0;
    case KEY_URL:
        if (!str_starts(s, STR("http://")) && !str_starts(s, STR("https://"))) {
            return decode_refuse(d, n, "expected an address with http:// or https://");
        }
        *(struct str *)out = s;
        return 0;
    case KEY_PATH:
        *(struct str *)out = decode_path(d, s);
        return 0;
    default:
        *(struct str *)out = s;
        return 0;
    }
}

static int read_value(const struct decoder *d, const struct yaml_node *n, const struct key *k,
                      void *base)
{
    void *out = (char *)base + k->at;

    switch (k->type) {
    case KEY_NOT:
        return decode_refuse(d, n, "%s", k->text);
    case KEY_FN:
        return k->fn(d, n, out);
    case KEY_STRS:
        return decode_strs(d, n, out);
    case KEY_LABELS:
        return decode_labels(d, n, out);
    default:
        return yaml_is_null(n) ? 0 : read_scalar(d, n, k->type, out);
    }
}

static int unknown(const struct decoder *d, const struct yaml_node *n, const struct key *keys,
                   size_t n_keys)
{
    const char *names[160], *near;

    for (size_t i = 0; i < n_keys && i < ARRAY_LEN(names); i++) {
        names[i] = keys[i].name;
    }
    near = str_nearest(n->key, names, n_keys < ARRAY_LEN(names) ? n_keys : ARRAY_LEN(names));
    return near != NULL ? decode_refuse(d, n, "there is no such key here; did you mean %s?", near)
                        : decode_refuse(d, n, "there is no such key here");
}

int decode_map(const struct decoder *d, const struct yaml_node *n, const struct key *keys,
               size_t n_keys, void *base)
{
    int rc = 0;

    if (yaml_is_null(n)) {
        return 0;
    }
    if (n->kind != YAML_MAP) {
        return decode_refuse(d, n, "expected keys and values");
    }
    for (const struct yaml_node *c = n->children; c != NULL; c = c->next) {
        size_t i = 0;

        while (i < n_keys && !str_eq_c(c->key, keys[i].name)) {
            i++;
        }
        rc |= i == n_keys ? unknown(d, c, keys, n_keys) : read_value(d, c, &keys[i], base);
        if (rc < 0 && d->all == NULL) {
            return -1;
        }
    }
    return rc;
}
