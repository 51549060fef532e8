/* JSON: reading never crashes, and what is written is read again as it was. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(8 * size + 64);
    struct jw w = JW(&b);
    struct err e;
    SCOPED(json_decrefp) UNUSED json_t *in = json_parse(str_n((const char *)data, size), &e);
    SCOPED(json_decrefp) json_t *out = NULL;

    jw_array(&w);
    jw_str(&w, str_n((const char *)data, size));
    jw_end(&w);
    out = json_loadb(b.p, b.len, JSON_ALLOW_NUL, NULL);
    if (out == NULL) {
        abort(); /* our own text is no JSON */
    }
    return 0;
}
