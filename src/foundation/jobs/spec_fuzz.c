/* Any bytes: refused with mistakes, or a spec whose JSON reads back as the same JSON. */
#include "base/limits.h"
#include "jobs/spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct arena *a, struct str text, struct job_spec *out)
{
    struct err_list mistakes = {0};
    struct err e;
    int rc = job_spec_parse(a, text, out, &mistakes, &e);

    err_list_done(&mistakes);
    return rc;
}

static void write_json(const struct job_spec *s, struct buf *out)
{
    struct jw w = JW(out);

    job_spec_json(s, &w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf first = BUF_MAX(LIMIT_SPEC_BYTES), second = BUF_MAX(LIMIT_SPEC_BYTES);
    struct job_spec s, back;

    if (parse(&a, str_n((const char *)data, size), &s) == 0) {
        write_json(&s, &first);
        if (!first.failed) {
            if (parse(&a, buf_str(&first), &back) < 0) {
                abort();
            }
            write_json(&back, &second);
            if (!str_eq(buf_str(&first), buf_str(&second))) {
                abort();
            }
        }
    }
    buf_done(&first);
    buf_done(&second);
    arena_done(&a);
    return 0;
}
