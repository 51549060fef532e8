/* template: any text gives text or an error, within its limits; what is refused when it is read is
 * refused when it is worked out. */
#include "base/limits.h"
#include "promql/promql.h"
#include "rules/template.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct label p[] = {{{"a", 1}, {"b", 1}}, {{"instance", 8}, {"host.example:9100", 17}}};

/* As many rows as the query has bytes, up to ten. */
static int answer(void *ctx UNUSED, struct str text, struct arena *a, struct promql_answer *out,
                  struct err *e UNUSED)
{
    static const double v = 42.5;
    size_t n = text.len < 10 ? text.len : 10;

    *out = (struct promql_answer){.type = text.len % 7 == 3 ? PROMQL_SCALAR : PROMQL_VECTOR};
    out->rows = arena_new_array(a, struct promql_row, n + 1);
    for (size_t i = 0; i < n; i++) {
        out->rows[i] = (struct promql_row){.labels = {p, 1 + i % 2}, .len = 1, .v = &v};
    }
    out->n_rows = out->type == PROMQL_SCALAR ? 0 : n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rule_values values = {
        .labels = {p, 2}, .external_url = {"http://x/y", 10}, .value = 1234.5, .query = answer};
    struct str text = str_n((const char *)data, size);
    struct buf out = BUF_MAX(LIMIT_LABEL_VALUE_BYTES);
    struct err e;
    int read = rule_template_check(text, &e);
    int worked = rule_template(text, &values, &out, &e);

    assert(read == 0 || worked < 0 || str_find(text, STR("{{")) < 0);
    (void)worked;
    buf_done(&out);
    return 0;
}
