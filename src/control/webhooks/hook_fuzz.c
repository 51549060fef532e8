/* hook: any bytes as a URL, any JSON as a hook. What is let through can be sent as it is. */
#include "webhooks_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(json_decrefp) json_t *body = NULL;
    struct str text = str_n((const char *)data, size);
    struct hook_change c;
    struct err e;

    if (hook_url_check(text, &e) == 0 &&
        (memchr(data, '\n', size) != NULL || memchr(data, '@', size < 8 ? size : 8) != NULL)) {
        abort();
    }
    body = json_parse(text, &e);
    if (body != NULL && hook_change_parse(body, &c, &e) == 0 && c.auth.len > 0 &&
        memchr(c.auth.p, '\n', c.auth.len) != NULL) {
        abort();
    }
    return 0;
}
