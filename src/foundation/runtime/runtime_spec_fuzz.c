/* CONTAINER_START and CONTAINER_EXEC as the helper gets them, what a keeper tells, and statuses as
 * the server gets them. */
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
    struct runtime_exec exec;
    struct runtime_exec_end end;
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
    if (exec_get(s, &a, &exec, &e) == 0 && exec_check(&exec, &e) == 0) {
        struct buf b = BUF_MAX(1 << 24);

        exec_put(&b, &exec);
        if (b.len != s.len) {
            abort(); /* the terminal is any number that is not 0 */
        }
        buf_done(&b);
    }
    (void)!exec_started_get(s, &e);
    (void)!exec_end_get(s, &end, &e);
    arena_done(&a);
    status_get(&r, &st);
    (void)!shim_answer_parse(s, &record, &e);
    (void)crun_explain(s, "x", &code, &e);
    return 0;
}
