/* jobs/<id>/usage as the server reads it, and the text of a cgroup's io files. What is accepted
 * must come back the same after it is written again. */
#include "runtime/runtime_priv.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct runtime_usage *first, struct arena *a)
{
    struct buf b = BUF_MAX(RUNTIME_USAGE_MAX);
    struct runtime_usage second;
    struct err e;

    usage_head_put(&b, first);
    for (size_t i = 0; i < first->n; i++) {
        usage_sample_put(&b, &first->samples[i]);
    }
    if (b.failed || usage_parse(buf_str(&b), a, &second, &e) < 0 || second.n != first->n ||
        second.interval_ms != first->interval_ms || second.started_ms != first->started_ms ||
        memcmp(first->samples, second.samples, first->n * sizeof(*first->samples)) != 0) {
        abort();
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_n((const char *)data, size);
    struct arena a = {0};
    struct runtime_usage u;
    uint64_t in, out;
    struct err e;

    if (usage_parse(s, &a, &u, &e) == 0) {
        if (u.n > LIMIT_USAGE_SAMPLES) {
            abort();
        }
        again(&u, &a);
    }
    cgroup_parse_io(s, &in, &out);
    arena_done(&a);
    return 0;
}
