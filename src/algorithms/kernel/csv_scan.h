/* csv_scan - cuts a text into records of cells. Private to csv. A cell is a view into the text;
 * quotes and doubled quotes are still in it until csv_cell_text(). */
#pragma once
#include "base/buf.h"

struct csv_cell {
    const char *p; /* inside the quotes */
    size_t len;
    bool quoted, doubled; /* doubled: it holds "" */
};

struct csv_scan {
    const char *at, *end;
    char delim, quote;
    uint64_t line; /* of `at`, 1-based */
    /* the record read last: */
    uint64_t record_line;
    struct csv_cell *cells;
    size_t n_cells, cap;
    const char *fault; /* what is wrong with its quotes, or NULL */
    uint64_t fault_line;
    size_t fault_cell;
};

void csv_scan_init(struct csv_scan *s, struct str text, char delim, char quote);
void csv_scan_done(struct csv_scan *s);
/* 1: a record, 0: the end, -1: ERR_DATA (more than ML_LIMIT_COLUMNS cells, or a cell longer than
 * ML_LIMIT_CELL_BYTES). */
int csv_scan_next(struct csv_scan *s, struct err *e) MUST_USE;
bool csv_scan_blank(const struct csv_scan *s); /* an empty line */
/* The text of a cell; `scratch` holds it when quotes had to be undoubled. */
struct str csv_cell_text(const struct csv_cell *c, char quote, struct buf *scratch);

/* The likely delimiter by the first records. */
char csv_sniff(struct str text, char quote);
