/* CONTAINER_START as the helper gets it, and statuses as the server gets them. */
#include "runtime/runtime_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct wire_reader r = {s, false};
    struct runtime_status st;
    struct shim_record record;
    struct runtime_spec spec;
    struct arena a = {0};
    struct err e;
    int code;

    if (spec_get(s, &a, &spec, &e) == 0 && spec_check(&spec, &e) == 0) {
        struct buf b = BUF_MAX(1 << 24);

        spec_put(&b, &spec);
        if (!str_eq(buf_str(&b), s) && spec.n_mounts == 0) {
            abort(); /* read_only is any number that is not 0, all else has one spelling */
        }
        buf_done(&b);
    }
    arena_done(&a);
    status_get(&r, &st);
    (void)!shim_answer_parse(s, &record, &e);
    (void)crun_explain(s, "x", &code, &e);
    return 0;
}
