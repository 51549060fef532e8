/* What a Harbor may tell of robots and policies: any JSON goes through every translation, and what
 * comes out is JSON that can be sent. */
#include "main/cli/migrate.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *json_text(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return s ? s : "";
}

int64_t json_number(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

static void dump(json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (body != NULL && text == NULL) {
        abort();
    }
    free(text);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    SCOPED(json_decrefp) json_t *row = json_parse(str_n((const char *)data, size), &e);
    SCOPED(json_decrefp) json_t *maps = json_pack("{s:s}", "old", "new");
    SCOPED(json_decrefp) json_t *ids = json_pack("{s:i}", "hub", 3);
    SCOPED(json_decrefp)
    json_t *rights = json_pack("[{s:s, s:s}]", "resource", "repository", "action", "pull");
    struct buf left_out = BUF_MAX(1024);
    bool has_secret;

    if (row == NULL) {
        return 0;
    }
    dump(translate_robot(row, maps, rights, &left_out));
    dump(translate_robot(row, maps, NULL, &left_out));
    dump(translate_retention(row, 7));
    dump(translate_immutable(row));
    dump(translate_webhook(row));
    dump(translate_registry(row, &has_secret));
    dump(translate_rule(row, ids, maps));
    dump(translate_metadata(row));
    dump(translate_label(row, 7));
    dump(translate_allowlist(row));
    (void)translate_missing_label(row, ids);
    if (!translate_same_immutable(row, row) ||
        translate_robot_name(json_text(row, "name")) == NULL) {
        abort();
    }
    buf_done(&left_out);
    return 0;
}
