#include "scrape/target.h"
#include "base/buf.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>

static struct label *find(struct labels *s, struct str name)
{
    for (size_t i = 0; i < s->len; i++) {
        if (str_eq(s->p[i].name, name)) {
            return &s->p[i];
        }
    }
    return NULL;
}

/* `s` has room. */
static void set(struct labels *s, struct str name, struct str value)
{
    struct label *l = find(s, name);

    if (l == NULL) {
        l = &s->p[s->len++];
    }
    *l = (struct label){name, value};
}

static void set_default(struct labels *s, struct str name, struct str value)
{
    if (labels_get(*s, name).len == 0) {
        set(s, name, value);
    }
}

/* --- where --- */

static void add_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';

        (void)buf_printf(b, plain ? "%c" : c == ' ' ? "+" : "%%%02X", c);
    }
}

static void add_param(struct buf *b, struct str name, struct str value)
{
    (void)buf_add_c(b, str_find_char(buf_str(b), '?') < 0 ? "?" : "&");
    add_escaped(b, name);
    (void)buf_add_c(b, "=");
    add_escaped(b, value);
}

/* params of the configuration, the first value of each replaced by __param_NAME. */
static void add_params(struct buf *b, const struct scrape_config *c, struct labels s)
{
    for (size_t i = 0; i < c->n_params; i++) {
        for (size_t k = 0; k < c->params_values[i].len; k++) {
            char name[256];
            struct str value = STR_EMPTY;

            if (k == 0) {
                (void)snprintf(name, sizeof(name), "__param_%.*s",
                               STR_ARG(str_first(c->params[i], 200)));
                value = labels_get(s, str_of(name));
            }
            add_param(b, c->params[i], value.len > 0 ? value : c->params_values[i].p[k]);
        }
    }
    for (size_t i = 0; i < s.len; i++) {
        struct str name = str_from(s.p[i].name, 8);
        size_t k = 0;

        if (!str_starts(s.p[i].name, STR("__param_"))) {
            continue;
        }
        while (k < c->n_params && !(str_eq(c->params[k], name) && c->params_values[k].len > 0)) {
            k++;
        }
        if (k == c->n_params) {
            add_param(b, name, s.p[i].value);
        }
    }
}

static int make_url(struct arena *a, const struct scrape_config *c, struct labels s,
                    struct str *out, struct err *e)
{
    struct buf b = BUF_MAX(32768);
    struct str path = labels_get(s, STR("__metrics_path__")),
               scheme = labels_get(s, STR("__scheme__"));

    (void)buf_printf(&b, "%.*s://%.*s%s", STR_ARG(scheme),
                     STR_ARG(labels_get(s, STR("__address__"))),
                     path.len > 0 && path.p[0] == '/' ? "" : "/");
    for (size_t i = 0; i < path.len; i++) {
        unsigned char ch = (unsigned char)path.p[i];

        (void)buf_printf(&b, ch > ' ' && ch < 0x7f ? "%c" : "%%%02X", ch);
    }
    add_params(&b, c, s);
    *out = arena_str(a, buf_str(&b));
    if (b.failed) {
        buf_done(&b);
        return err_set(e, ERR_LIMIT, "the address of a target is longer than 32 KiB");
    }
    buf_done(&b);
    return 0;
}

/* --- labels --- */

static int read_times(struct labels s, struct target *t, struct err *e)
{
    struct str interval = labels_get(s, STR("__scrape_interval__")),
               timeout = labels_get(s, STR("__scrape_timeout__"));

    if (decode_ms(interval, &t->interval_ms) < 0 || t->interval_ms == 0) {
        return err_set(e, ERR_INVALID, "__scrape_interval__: \"%.*s\" is no duration above 0",
                       STR_ARG(str_first(interval, 60)));
    }
    if (decode_ms(timeout, &t->timeout_ms) < 0 || t->timeout_ms == 0) {
        return err_set(e, ERR_INVALID, "__scrape_timeout__: \"%.*s\" is no duration above 0",
                       STR_ARG(str_first(timeout, 60)));
    }
    if (t->timeout_ms > t->interval_ms) {
        return err_set(e, ERR_INVALID,
                       "the scrape timeout of a target is longer than its interval");
    }
    return 0;
}

static struct labels discovered(struct arena *a, const struct scrape_config *c, struct labels group,
                                struct labels one)
{
    struct labels s = {.p =
                           arena_new_array(a, struct label, group.len + one.len + c->n_params + 8)};

    for (size_t i = 0; i < group.len; i++) {
        set(&s, group.p[i].name, group.p[i].value);
    }
    for (size_t i = 0; i < one.len; i++) {
        set(&s, one.p[i].name, one.p[i].value);
    }
    set_default(&s, STR("job"), c->job_name);
    set_default(&s, STR("__scrape_interval__"), str_of(decode_ms_text(a, c->interval_ms)));
    set_default(&s, STR("__scrape_timeout__"), str_of(decode_ms_text(a, c->timeout_ms)));
    set_default(&s, STR("__metrics_path__"), c->metrics_path);
    set_default(&s, STR("__scheme__"), c->scheme);
    for (size_t i = 0; i < c->n_params; i++) {
        if (c->params_values[i].len > 0) {
            set_default(&s, str_of(arena_printf(a, "__param_%.*s", STR_ARG(c->params[i]))),
                        c->params_values[i].p[0]);
        }
    }
    return s;
}

int target_make(struct arena *a, const struct scrape_config *c, struct labels group,
                struct labels one, struct target *out, struct err *e)
{
    struct labels s = discovered(a, c, group, one), kept;
    struct str address, scheme;
    int r;

    *out = (struct target){.discovered = s};
    if (labels_normalize(&out->discovered, e) < 0) {
        return -1;
    }
    s = out->discovered;
    r = relabel_apply(c->relabel, a, &s, e);
    if (r <= 0) {
        return r;
    }
    address = labels_get(s, STR("__address__"));
    scheme = labels_get(s, STR("__scheme__"));
    if (address.len == 0) {
        return err_set(e, ERR_INVALID, "a target has no __address__ after relabeling");
    }
    if (str_find_char(address, '/') >= 0 || str_find_char(address, '@') >= 0) {
        return err_set(e, ERR_INVALID, "\"%.*s\" is not a valid hostname",
                       STR_ARG(str_first(address, 100)));
    }
    if (!str_eq_c(scheme, "http") && !str_eq_c(scheme, "https")) {
        return err_set(e, ERR_INVALID, "__scheme__ is \"%.*s\", not http or https",
                       STR_ARG(str_first(scheme, 20)));
    }
    if (read_times(s, out, e) < 0 || make_url(a, c, s, &out->url, e) < 0) {
        return -1;
    }
    kept = (struct labels){.p = arena_new_array(a, struct label, s.len + 1)};
    for (size_t i = 0; i < s.len; i++) {
        if (!str_starts(s.p[i].name, STR("__"))) {
            kept.p[kept.len++] = s.p[i];
        }
    }
    set_default(&kept, STR("instance"), address);
    if (kept.len > LIMIT_SERIES_LABELS - 16) {
        return err_set(e, ERR_LIMIT, "a target has more than %d labels", LIMIT_SERIES_LABELS - 16);
    }
    if (labels_normalize(&kept, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < kept.len; i++) {
        if (!str_is_utf8(kept.p[i].value)) {
            return err_set(e, ERR_INVALID, "the label %.*s of a target is no UTF-8",
                           STR_ARG(str_first(kept.p[i].name, 60)));
        }
    }
    out->labels = kept;
    out->hash = labels_hash(kept) ^
                labels_hash((struct labels){&(struct label){out->url, STR_EMPTY}, 1}) * 3 ^
                (uint64_t)out->interval_ms * 0x9e3779b97f4a7c15ULL ^ (uint64_t)out->timeout_ms;
    return 1;
}

struct target target_copy(struct arena *a, const struct target *t)
{
    struct target copy = *t;

    copy.discovered = labels_copy(a, t->discovered);
    copy.labels = labels_copy(a, t->labels);
    copy.url = str_of(arena_strdup(a, t->url));
    return copy;
}

struct labels target_merge(struct arena *a, struct labels series, struct labels target,
                           bool honor_labels)
{
    struct labels out = {.p = arena_new_array(a, struct label, series.len + target.len * 2 + 1)};

    memcpy(out.p, series.p, series.len * sizeof(struct label));
    out.len = series.len;
    for (size_t i = 0; i < target.len; i++) {
        struct label *own = find(&out, target.p[i].name);

        if (own == NULL) {
            out.p[out.len++] = target.p[i];
        } else if (!honor_labels) {
            struct str name = str_of(arena_printf(a, "exported_%.*s", STR_ARG(own->name)));

            while (find(&out, name) != NULL || find(&target, name) != NULL) {
                name = str_of(arena_printf(a, "exported_%.*s", STR_ARG(name)));
            }
            own->name = name;
            out.p[out.len++] = target.p[i];
        }
    }
    return out;
}
