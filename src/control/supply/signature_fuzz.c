/* signature: any bytes as a manifest, as a payload and as a bundle. */
#include "supply_priv.h"

#include <stdlib.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(arena_done) struct arena a = {0};
    struct str text = str_n((const char *)data, size);
    struct accessory one;
    struct dsse dsse;
    struct err e;

    accessory_parse(&a, STR_EMPTY, text, &one);
    if (one.n_layers > 0 && one.kind != ACCESSORY_COSIGN && one.kind != ACCESSORY_BUNDLE) {
        abort();
    }
    if (payload_check(text, DIGEST, &e) == 0 && str_find(text, STR("cosign")) < 0) {
        abort();
    }
    if (bundle_parse(&a, text, DIGEST, &dsse, &e) == 0 &&
        !str_starts(dsse.signed_text, STR("DSSEv1 "))) {
        abort();
    }
    return 0;
}
