/* Times, durations and escaped names of requests. */
#include "metrics_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct str text = str_n((const char *)data, size);
    struct arena a = {0};
    int64_t ms;
    struct str name;

    if (parse_time(text, &ms) == 0 && (ms < TIME_MIN || ms > TIME_MAX)) {
        abort();
    }
    if (parse_duration(text, &ms) == 0 && (ms < TIME_MIN || ms > TIME_MAX)) {
        abort();
    }
    name = unescape_name(&a, text);
    if (name.len > text.len) {
        abort();
    }
    arena_done(&a);
    return 0;
}
