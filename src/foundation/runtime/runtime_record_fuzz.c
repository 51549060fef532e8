/* Files that outlive us: jobs/<id>/exit and shim, and /proc/<pid>/stat. What is accepted must come
 * back the same after it is written again. */
#include "runtime/runtime_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again_exit(const struct runtime_status *first)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct runtime_status second = {0};
    struct err e;

    exit_record_put(&b, first);
    if (exit_record_parse(buf_str(&b), &second, &e) < 0 || second.code != first->code ||
        second.end != first->end || second.cpu_usec != first->cpu_usec) {
        abort();
    }
    buf_done(&b);
}

static void again_shim(const struct shim_record *first)
{
    struct buf b = BUF_MAX(RUNTIME_RECORD_MAX);
    struct shim_record second;
    struct err e;

    shim_record_put(&b, first);
    if (shim_record_parse(buf_str(&b), &second, &e) < 0 || second.pid != first->pid ||
        second.start != first->start || strcmp(second.boot, first->boot) != 0) {
        abort();
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct runtime_status status = {0};
    struct shim_record shim;
    struct process_stat st;
    struct err e;

    if (exit_record_parse(s, &status, &e) == 0) {
        again_exit(&status);
    }
    if (shim_record_parse(s, &shim, &e) == 0) {
        again_shim(&shim);
    }
    (void)!process_stat_parse(s, &st, &e);
    return 0;
}
