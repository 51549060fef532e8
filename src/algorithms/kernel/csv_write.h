/* csv_write - a table as RFC 4180 text, with what people want otherwise. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

enum csv_quoting { CSV_QUOTE_NEEDED, CSV_QUOTE_TEXT, CSV_QUOTE_ALL };

struct csv_write_options {
    char delim;
    bool no_header;
    struct str null_text; /* of missing values; a text that is the same is quoted */
    enum csv_quoting quoting;
};

/* Errors stick in w. A NULL option is a comma, a header and nothing for missing values. */
void csv_write(const struct table *t, const struct csv_write_options *o, struct binw *w);
