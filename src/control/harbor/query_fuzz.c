#include "query.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harbor_term terms[HARBOR_TERMS_MAX];
    struct err e;
    size_t n;

    if (harbor_terms(str_n((const char *)data, size), terms, &n, &e) == 0) {
        assert(n <= HARBOR_TERMS_MAX);
        for (size_t i = 0; i < n; i++) {
            assert(terms[i].key.len + terms[i].value.len <= size);
        }
    }
    return 0;
}
