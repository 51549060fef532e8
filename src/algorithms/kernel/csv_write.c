#include "algorithms/kernel/csv_write.h"

#include <math.h>
#include <string.h>

/* Quotes only where they are needed. */
static void write_cell(struct binw *w, struct str s)
{
    bool plain = s.len > 0 && s.p[0] != ' ' && s.p[s.len - 1] != ' ';

    for (size_t i = 0; plain && i < s.len; i++) {
        plain = s.p[i] != ',' && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r';
    }
    if (plain) {
        binw_bytes(w, s.p, s.len);
        return;
    }
    binw_bytes(w, "\"", 1);
    for (size_t i = 0; i < s.len; i++) {
        binw_bytes(w, "\"\"", s.p[i] == '"');
        binw_bytes(w, s.p + i, 1);
    }
    binw_bytes(w, "\"", 1);
}

static void write_value(struct binw *w, const struct column *c, size_t row)
{
    char text[AS_TEXT_BYTES];

    if (c->kind == COLUMN_TEXT) {
        if (c->codes[row] != DICT_MISSING) {
            write_cell(w, dict_text(c->dict, c->codes[row]));
        }
        return;
    }
    if (!isnan(c->numbers[row])) {
        as_format(c->as, c->numbers[row], text);
        binw_bytes(w, text, strlen(text));
    }
}

void csv_write(const struct table *t, struct binw *w)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        binw_bytes(w, ",", i > 0);
        write_cell(w, str_of(t->columns[i].name));
    }
    binw_bytes(w, "\n", 1);
    for (size_t row = 0; row < t->n_rows; row++) {
        for (size_t i = 0; i < t->n_columns; i++) {
            binw_bytes(w, ",", i > 0);
            write_value(w, &t->columns[i], row);
        }
        binw_bytes(w, "\n", 1);
    }
}
