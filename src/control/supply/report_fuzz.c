/* report: any JSON as the report of a scanner. What is let through fits what is promised. */
#include "supply_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(json_decrefp) json_t *doc = NULL;
    struct report r;
    struct err e;
    int64_t counted = 0;

    doc = json_parse(str_n((const char *)data, size), &e);
    if (doc == NULL || report_of_json(&a, doc, &r, &e) < 0) {
        return 0;
    }
    for (int i = 0; i < SEVERITIES; i++) {
        counted += r.counts[i];
    }
    for (size_t i = 0; i < r.n; i++) {
        const struct finding *f = &r.findings[i];

        if (f->id.len == 0 || f->id.len > LIMIT_FINDING_TEXT || f->title.len > LIMIT_FINDING_TEXT ||
            (f->link.len > 0 && !str_starts(f->link, STR("http"))) ||
            (i > 0 && f->severity > f[-1].severity)) {
            abort();
        }
    }
    if (counted != (int64_t)r.n) {
        abort();
    }
    return 0;
}
