#include "algorithms/kernel/csv_header.h"

#include "algorithms/kernel/number.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum {
    JUDGED_CELLS = 256,
    JUDGED_RECORDS = 100,
    JUDGED_BYTES = 64 * 1024
}; /* enough to judge by */
enum { FIRST_YEAR = 1900, LAST_YEAR = 2100 };

/* What the first record holds. */
struct look {
    size_t n, numbers, words, empty;
    bool twice;       /* two cells are the same */
    bool consecutive; /* its numbers are k, k + 1, k + 2... */
    double first;     /* number */
};

static struct str cell(const struct csv_scan *s, size_t i)
{
    return str_trim(str_n(s->cells[i].p, s->cells[i].len));
}

static bool has_twin(const struct csv_scan *s, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (str_eq(cell(s, i), cell(s, j))) {
            return true;
        }
    }
    return false;
}

static struct look look_at(const struct csv_scan *s)
{
    struct look l = {.n = s->n_cells < JUDGED_CELLS ? s->n_cells : JUDGED_CELLS,
                     .consecutive = true};

    for (size_t i = 0; i < l.n; i++) {
        double v;

        l.twice = l.twice || has_twin(s, i);
        if (cell(s, i).len == 0) {
            l.empty += i > 0; /* row names of R and pandas have no title */
        } else if (number_parse(cell(s, i), &v) < 0) {
            l.words++;
        } else {
            l.first = l.numbers == 0 ? v : l.first;
            l.consecutive = l.consecutive && v == l.first + (double)l.numbers && v == floor(v);
            l.numbers++;
        }
    }
    return l;
}

/* Only the last cell is empty: spreadsheets end lines with a delimiter. */
static bool ends_empty(const struct csv_scan *s, const struct look *l)
{
    return !l->twice && l->empty == 1 && l->n == s->n_cells && l->n > 1 &&
           cell(s, l->n - 1).len == 0;
}

/* Whether all that stands below a cell are numbers, and at least one is. */
static bool over_numbers(const struct csv_reader *r, struct csv_scan below, size_t i)
{
    struct err ignored;
    size_t numbers = 0, others = 0;

    if (below.end - below.at > JUDGED_BYTES) {
        below.end = below.at + JUDGED_BYTES; /* half a cell at the end is like the whole one */
    }
    below.cells = NULL; /* `below` is a copy: its place, not its cells */
    below.n_cells = below.cap = 0;
    for (int n = 0; n < JUDGED_RECORDS && csv_scan_next(&below, &ignored) > 0; n++) {
        double v;

        if (i >= below.n_cells || csv_is_null(r, cell(&below, i))) {
            continue;
        }
        numbers += number_parse(cell(&below, i), &v) == 0;
        others += number_parse(cell(&below, i), &v) < 0;
    }
    csv_scan_done(&below);
    return numbers > 0 && others == 0;
}

/* A word where all below are numbers is a name. */
static bool word_over_numbers(const struct csv_reader *r, const struct csv_scan *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v;

        if (!csv_is_null(r, cell(s, i)) && number_parse(cell(s, i), &v) < 0 &&
            over_numbers(r, *s, i)) {
            return true;
        }
    }
    return false;
}

/* pandas names columns 0, 1, 2... where nobody gave names; a list of pairs may begin with 0, 1. */
static enum csv_first judge_numbers(const struct look *l)
{
    if (!l->consecutive || l->first != 0 || l->numbers < 2) {
        return CSV_FIRST_DATA;
    }
    return l->numbers > 2 ? CSV_FIRST_NAMES : CSV_FIRST_UNCLEAR;
}

enum csv_first csv_first_record(const struct csv_reader *r, const struct csv_scan *scan)
{
    struct look l = look_at(scan);
    bool years = l.consecutive && l.numbers > 1 && l.first >= FIRST_YEAR && l.first <= LAST_YEAR;

    if (l.n > 0 && ends_empty(scan, &l)) { /* "a,b," */
        return word_over_numbers(r, scan, l.n) ? CSV_FIRST_NAMES : CSV_FIRST_DATA;
    }
    if (l.n == 0 || l.twice || l.empty > 0) {
        return CSV_FIRST_DATA;
    }
    if (l.numbers == 0) {
        return CSV_FIRST_NAMES;
    }
    if (l.words == 0) {
        return judge_numbers(&l);
    }
    return years || word_over_numbers(r, scan, l.n) ? CSV_FIRST_NAMES : CSV_FIRST_DATA;
}
