/* What changed between two versions of a pipeline. */
#include "main/cli/pipeline.h"

#include <stdlib.h>
#include <string.h>

static void print_value(const json_t *v)
{
    SCOPED(freep)
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

    print_safe(stdout, str_of(text ? text : "-"));
}

/* Keys of `a` and then those of `b` alone, each once. */
static int diff_object(const char *where, const json_t *a, const json_t *b, bool is_nodes)
{
    const json_t *sides[] = {a, b};
    int n = 0;

    for (int i = 0; i < 2; i++) {
        for (void *it = json_object_iter((json_t *)sides[i]); it;
             it = json_object_iter_next((json_t *)sides[i], it)) {
            const char *key = json_object_iter_key(it);
            const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
            SCOPED(freep) char *at = xasprintf("%s%s%s", where, *where ? "." : "", key);

            if ((i == 1 && x) || (x && y && json_equal(x, y)) || strcmp(key, "at") == 0) {
                continue; /* told already, the same, or only moved in the picture */
            }
            if (x && y && json_is_object(x) && json_is_object(y)) {
                n += diff_object(at, x, y, strcmp(key, "nodes") == 0 && *where == '\0');
                continue;
            }
            n++;
            (void)fputs(x == NULL ? "+ " : y == NULL ? "- " : "~ ", stdout);
            print_safe(stdout, str_of(at));
            (void)fputs(": ", stdout);
            print_value(is_nodes && y == NULL ? json_object_get(x, "module") : x ? x : y);
            if (x && y) {
                (void)fputs(" -> ", stdout);
                print_value(y);
            }
            (void)fputc('\n', stdout);
        }
    }
    return n;
}

int verb_pipeline_diff(struct cli *c, struct err *e)
{
    SCOPED(freep) char *one = pipeline_version_path(c, cli_arg(c, 0), cli_arg(c, 1), "");
    SCOPED(freep) char *two = pipeline_version_path(c, cli_arg(c, 0), cli_arg(c, 2), "");
    SCOPED(json_decrefp) json_t *a = NULL;
    SCOPED(json_decrefp) json_t *b = NULL;

    if (client_json(c->client, "GET", str_of(one), NULL, &a, e) < 0 ||
        client_json(c->client, "GET", str_of(two), NULL, &b, e) < 0) {
        return -1;
    }
    if (c->json) {
        SCOPED(json_decrefp)
        json_t *both = json_pack("{s:O,s:O}", "a", json_object_get(a, "document"), "b",
                                 json_object_get(b, "document"));

        (void)print_json(c, both);
        return 0;
    }
    if (diff_object("", json_object_get(a, "document"), json_object_get(b, "document"), false) ==
        0) {
        (void)printf("Versions %lld and %lld say the same.\n", (long long)json_number(a, "version"),
                     (long long)json_number(b, "version"));
    }
    return 0;
}
