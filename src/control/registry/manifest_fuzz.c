#include "manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n((const char *)data, size);
    struct arena a = {0};
    struct manifest m;
    struct err e;

    if (manifest_parse(&a, STR_EMPTY, text, &m, &e) == 0 &&
        (m.media_type == NULL || (m.is_index && m.n_layers > 0))) {
        abort();
    }
    (void)!manifest_parse(&a, STR(MEDIA_OCI_MANIFEST), text, &m, &e);
    (void)!manifest_parse(&a, STR(MEDIA_OCI_INDEX), text, &m, &e);
    arena_done(&a);
    return 0;
}
