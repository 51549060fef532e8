/* Request targets and forms. A decoded path never holds a NUL, and its segments tile it. */
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(const struct url *u)
{
    const char *at = u->path.p;

    if (u->path.len > 0 && memchr(u->path.p, '\0', u->path.len)) {
        abort();
    }
    for (size_t i = 0; i < u->n_segments; i++) {
        if (*at != '/' || u->segments[i].p != at + 1) {
            abort();
        }
        at += 1 + u->segments[i].len;
    }
    if (u->n_segments > 0 && at != u->path.p + u->path.len) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct url u;
    struct err e;
    const struct http_param *params;
    size_t n;
    char *copy = calloc(1, size + 1); /* exact bounds for the sanitizer */
    struct str text = str_n(copy, size);

    if (size > 0) {
        memcpy(copy, data, size);
    }
    for (size_t i = 0; i < size; i++) { /* the head parser lets no NUL through */
        copy[i] = copy[i] ? copy[i] : '0';
    }
    if (url_parse(&a, text, &u, &e) == 0) {
        check_segments(&u);
        (void)!url_parse_form(&a, u.query, &params, &n, &e);
    }
    (void)!url_parse_form(&a, text, &params, &n, &e);
    arena_done(&a);
    free(copy);
    return 0;
}
