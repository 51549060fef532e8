/* rules: any text gives rules or mistakes. */
#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err_list errors = {0};
    struct arena a = {0};
    struct rule_file file;

    (void)!rules_parse(&a, str_n((const char *)data, size), &file, &errors);
    err_list_done(&errors);
    arena_done(&a);
    return 0;
}
