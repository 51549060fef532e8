/* config: any file gives a configuration or a sentence. */
#include "scrape/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct target_group *groups;
    size_t n;
    struct err e;
    char *text = str_dup(str_n((const char *)data, size));
    struct config *c = config_read(NULL, text, NULL, &e);

    config_unref(c);
    if (config_groups(&a, str_n((const char *)data, size), "groups", &groups, &n, &e) == 0 &&
        n > size) {
        abort();
    }
    arena_done(&a);
    free(text);
    return 0;
}
