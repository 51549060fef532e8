/* policy: any JSON gives an error or rules that can be written and read again. */
#include "base/mem.h"
#include "policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(arena_done) struct arena a = {0};
    struct buf text = BUF_MAX(1 << 20);
    struct jw w = JW(&text);
    struct policy p, again;
    struct err e;

    if (policy_parse(&a, str_n((const char *)data, size), &p, &e) == 0) {
        (void)policy_immutable(&p, STR("team/app"), STR("v1"));
        policy_write(&p, &w);
        if (!text.failed && policy_parse(&a, buf_str(&text), &again, &e) < 0) {
            abort();
        }
    }
    buf_done(&text);
    return 0;
}
