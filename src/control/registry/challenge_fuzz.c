/* challenge: any header gives an error or a challenge with the parts that its scheme needs. */
#include "challenge.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(arena_done) struct arena a = {0};
    struct challenge c;
    struct err e;

    if (challenge_parse(&a, str_n((const char *)data, size), &c, &e) == 0 &&
        (c.is_bearer == c.is_basic || (c.is_bearer && c.realm.p == NULL))) {
        abort();
    }
    return 0;
}
