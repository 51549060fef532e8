/* rules: any text gives rules or mistakes; any template gives text or an error. */
#include "base/limits.h"
#include "rules/rules.h"
#include "rules/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct label p = {{"a", 1}, {"b", 1}};
    static const struct rule_values values = {
        .labels = {&p, 1}, .external_url = {"http://x", 8}, .value = 1234.5};
    struct str text = str_n((const char *)data, size);
    struct buf out = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct err_list errors = {0};
    struct arena a = {0};
    struct rule_file file;
    struct err e;

    (void)!rules_parse(&a, text, &file, &errors);
    (void)!rule_template(text, &values, &out, &e);
    err_list_done(&errors);
    buf_done(&out);
    arena_done(&a);
    return 0;
}
