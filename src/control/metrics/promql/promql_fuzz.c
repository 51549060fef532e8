/* promql: any text gives an error or a tree whose text gives the same text again. */
#include "base/buf.h"
#include "promql/parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct buf once = BUF_MAX(1 << 22), twice = BUF_MAX(1 << 22), lines = BUF_MAX(1 << 24);
    struct err e;
    struct promql_node *n = promql_parse(&a, str_n((const char *)data, size), &e);

    if (n != NULL) {
        promql_print(n, &once);
        promql_format(n, &lines);
        n = once.failed ? NULL : promql_parse(&a, buf_str(&once), &e);
        if (n == NULL && !once.failed && e.kind != ERR_LIMIT) {
            abort();
        }
        if (n != NULL) {
            promql_print(n, &twice);
            if (!str_eq(buf_str(&once), buf_str(&twice))) {
                abort();
            }
        }
    }
    buf_done(&once);
    buf_done(&twice);
    buf_done(&lines);
    arena_done(&a);
    return 0;
}
