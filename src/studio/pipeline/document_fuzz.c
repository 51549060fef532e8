/* Any bytes: refused with mistakes, or a document whose JSON and YAML both read back as the same.
 */
#include "base/limits.h"
#include "pipeline/document.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct arena *a, struct str text, struct doc *out)
{
    struct err_list mistakes = {0};
    struct err e;
    int rc = doc_parse(a, text, out, &mistakes, &e);

    err_list_done(&mistakes);
    return rc;
}

static void write_json(const struct doc *d, struct buf *out)
{
    struct jw w = JW(out);

    doc_json(d, &w);
}

/* `text` was made from a document whose JSON is `want`. */
static void must_read_back(struct arena *a, const struct buf *text, const struct buf *want)
{
    struct buf again = BUF_MAX(16 * MIB);
    struct doc back;

    if (text->failed || text->len > LIMIT_PIPELINE_BYTES) {
        return;
    }
    if (parse(a, buf_str(text), &back) < 0) {
        abort();
    }
    write_json(&back, &again);
    if (!str_eq(buf_str(&again), buf_str(want))) {
        abort();
    }
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf json = BUF_MAX(16 * MIB), yaml = BUF_MAX(16 * MIB);
    struct doc d;

    if (parse(&a, str_n((const char *)data, size), &d) == 0) {
        write_json(&d, &json);
        doc_yaml(&d, &yaml);
        must_read_back(&a, &json, &json);
        must_read_back(&a, &yaml, &json);
    }
    buf_done(&json);
    buf_done(&yaml);
    arena_done(&a);
    return 0;
}
