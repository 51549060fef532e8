/* page - writing an exposition: text 0.0.4 or OpenMetrics 1.0. */
#pragma once
#include "base/buf.h"
#include "exporter/exporter.h"

enum page_type { PAGE_GAUGE, PAGE_COUNTER, PAGE_UNTYPED, PAGE_HISTOGRAM, PAGE_SUMMARY };

struct page {
    struct buf *out;
    enum exporter_format format;
    const char *name; /* of the family that is written */
    char clean[256];  /* that, where the one given is none */
};

/* Of a metric: letters, digits, _ and : */
bool page_is_name(struct str s);
/* Begins a family; each comes once on a page. Its samples follow. Bytes that no name has become _.
 */
void page_family(struct page *p, const char *name, enum page_type type, const char *help);
/* One sample of it: label, value, label, value, ..., NULL. Values are any bytes. */
void page_add(struct page *p, double v, ...) __attribute__((sentinel));
/* A family of one sample without labels. */
void page_one(struct page *p, const char *name, enum page_type type, const char *help, double v);
/* With labels that stand already: {a="b"}, or nothing. */
void page_put(struct page *p, struct str labels, double v);
/* name="value" escaped, a comma before it when `b` is not empty. */
void page_label(struct buf *b, const char *name, struct str value);
