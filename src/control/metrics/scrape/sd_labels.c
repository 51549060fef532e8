#include "scrape/sd_labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct sd_set *to, struct str name, struct str value)
{
    for (size_t i = 0; i < to->s.len; i++) {
        if (str_eq(to->s.p[i].name, name)) {
            to->s.p[i].value = value;
            return;
        }
    }
    if (to->s.len == to->cap) {
        struct label *more = arena_new_array(to->a, struct label, to->cap * 2 + 16);

        if (to->s.len > 0) {
            memcpy(more, to->s.p, to->s.len * sizeof(*more));
        }
        to->s.p = more;
        to->cap = to->cap * 2 + 16;
    }
    to->s.p[to->s.len++] = (struct label){name, value};
}

struct sd_set sd_set_copy(const struct sd_set *from)
{
    struct sd_set to = {.a = from->a};

    sd_put_all(&to, from);
    return to;
}

void sd_put(struct sd_set *to, const char *name, struct str value)
{
    add(to, str_of(arena_strdup(to->a, str_of(name))), arena_str(to->a, value));
}

void sd_putf(struct sd_set *to, const char *name, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sd_put(to, name, str_of(text));
}

static struct str clean_name(struct arena *a, const char *prefix, const char *name)
{
    char *text = arena_printf(a, "%s%s", prefix, name);

    for (char *p = text + strlen(prefix); *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '_';

        *p = plain ? *p : '_';
    }
    return str_of(text);
}

void sd_put_map(struct sd_set *to, const char *prefix, const char *present, const json_t *map)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        if (!json_is_string(value)) {
            continue;
        }
        add(to, clean_name(to->a, prefix, name),
            arena_str(to->a, str_n(json_string_value(value), json_string_length(value))));
        if (present != NULL) {
            add(to, clean_name(to->a, present, name), STR("true"));
        }
    }
}

void sd_put_all(struct sd_set *to, const struct sd_set *from)
{
    for (size_t i = 0; i < from->s.len; i++) {
        add(to, from->s.p[i].name, from->s.p[i].value);
    }
}

void sd_put_address(struct sd_set *to, struct str host, struct str port)
{
    bool v6 = str_find_char(host, ':') >= 0;

    sd_putf(to, "__address__", "%s%.*s%s%s%.*s", v6 ? "[" : "", STR_ARG(str_first(host, 500)),
            v6 ? "]" : "", port.len > 0 ? ":" : "", STR_ARG(str_first(port, 20)));
}

const json_t *sd_at(const json_t *obj, const char *path)
{
    struct str rest = str_of(path);

    while (obj != NULL && rest.p != NULL) {
        char key[64];

        if (str_copy(str_cut(&rest, '.'), key, sizeof(key)) < 0) {
            return NULL;
        }
        obj = json_object_get(obj, key);
    }
    return obj;
}

struct str sd_text(struct arena *a, const json_t *obj, const char *key)
{
    const json_t *v = sd_at(obj, key);

    if (json_is_string(v)) {
        return str_n(json_string_value(v), json_string_length(v));
    }
    if (json_is_integer(v)) {
        return str_of(arena_printf(a, "%lld", (long long)json_integer_value(v)));
    }
    return json_is_boolean(v) ? str_of(json_is_true(v) ? "true" : "false") : STR_EMPTY;
}

void sd_group_add(struct arena *a, struct sd_group *g, const struct sd_set *target)
{
    if (g->g.n_targets == g->cap) {
        struct labels *more = arena_new_array(a, struct labels, g->cap * 2 + 8);

        if (g->g.n_targets > 0) {
            memcpy(more, g->g.targets, g->g.n_targets * sizeof(*more));
        }
        g->g.targets = more;
        g->cap = g->cap * 2 + 8;
    }
    g->g.targets[g->g.n_targets++] = target->s;
}
