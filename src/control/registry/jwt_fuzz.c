/* Everything that is read before and after the signature is checked, without checking it. */
#include "jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n((const char *)data, size);
    struct arena a = {0};
    struct jwt_parts parts;
    struct jwt_claims claims;
    struct err e;

    if (jwt_split(&a, text, &parts, &e) == 0) {
        (void)!jwt_header_check(parts.header, "KEY", &e);
        (void)!jwt_claims_parse(&a, parts.payload, &claims, &e);
    }
    (void)!jwt_header_check(text, "KEY", &e);
    (void)!jwt_claims_parse(&a, text, &claims, &e);
    arena_done(&a);
    return 0;
}
