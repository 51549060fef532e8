/* Names, tags, references and scopes: one text, read as each. */
#include "names.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n((const char *)data, size);
    struct reference ref;
    struct scope scope;
    struct err e;

    if (reference_parse(text, &ref, &e) == 0 &&
        (name_check(ref.repository, &e) < 0 || (ref.tag.p != NULL && tag_check(ref.tag, &e) < 0))) {
        abort(); /* what was taken must be valid */
    }
    if (scope_parse(text, &scope, &e) == 0 && scope.type.len + scope.name.len + 2 > size) {
        abort();
    }
    (void)!tag_check(text, &e);
    return 0;
}
