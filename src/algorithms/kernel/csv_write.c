#include "algorithms/kernel/csv_write.h"

#include <math.h>
#include <string.h>

static void write_quoted(struct binw *w, struct str s)
{
    binw_bytes(w, "\"", 1);
    while (s.p) {
        struct str part = str_cut(&s, '"');

        binw_bytes(w, part.p, part.len);
        binw_bytes(w, "\"\"", s.p ? 2 : 0);
    }
    binw_bytes(w, "\"", 1);
}

/* Whether a reader would take it for the same text without quotes. */
static bool is_plain(const struct csv_write_options *o, struct str s)
{
    bool plain = s.len > 0 && s.p[0] != ' ' && s.p[s.len - 1] != ' ' && !str_eq(s, o->null_text);

    for (size_t i = 0; plain && i < s.len; i++) {
        plain = s.p[i] != o->delim && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r';
    }
    return plain;
}

static void write_text(const struct csv_write_options *o, struct binw *w, struct str s)
{
    if (o->quoting == CSV_QUOTE_NEEDED && is_plain(o, s)) {
        binw_bytes(w, s.p, s.len);
    } else {
        write_quoted(w, s);
    }
}

static void write_value(const struct csv_write_options *o, struct binw *w, const struct column *c,
                        size_t row)
{
    char text[AS_TEXT_BYTES];

    if (c->kind == COLUMN_TEXT ? c->codes[row] == DICT_MISSING : isnan(c->numbers[row])) {
        binw_bytes(w, o->null_text.p, o->null_text.len);
        return;
    }
    if (c->kind == COLUMN_TEXT) {
        write_text(o, w, dict_text(c->dict, c->codes[row]));
        return;
    }
    as_format(c->as, c->numbers[row], text);
    if (o->quoting == CSV_QUOTE_ALL || strchr(text, o->delim)) {
        write_quoted(w, str_of(text));
    } else {
        binw_bytes(w, text, strlen(text));
    }
}

void csv_write(const struct table *t, const struct csv_write_options *o, struct binw *w)
{
    static const struct csv_write_options usual = {.delim = ',', .null_text = {"", 0}};

    o = o ? o : &usual;
    for (size_t i = 0; i < t->n_columns && !o->no_header; i++) {
        binw_bytes(w, &o->delim, i > 0);
        write_text(o, w, str_of(t->columns[i].name));
    }
    binw_bytes(w, "\n", !o->no_header);
    for (size_t row = 0; row < t->n_rows; row++) {
        for (size_t i = 0; i < t->n_columns; i++) {
            binw_bytes(w, &o->delim, i > 0);
            write_value(o, w, &t->columns[i], row);
        }
        binw_bytes(w, "\n", 1);
    }
}
