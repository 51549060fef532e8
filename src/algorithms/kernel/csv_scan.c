#include "algorithms/kernel/csv_scan.h"

#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/ml_limits.h"
#include "base/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void csv_scan_init(struct csv_scan *s, struct str text, char delim, char quote)
{
    *s = (struct csv_scan){
        .at = text.p, .end = text.p + text.len, .delim = delim, .quote = quote, .line = 1};
}

void csv_scan_done(struct csv_scan *s)
{
    free(s->cells);
    *s = (struct csv_scan){0};
}

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

static void fault(struct csv_scan *s, const char *what)
{
    if (s->fault == NULL) {
        s->fault = what;
        s->fault_line = s->line;
        s->fault_cell = s->n_cells + 1;
    }
}

/* From behind the opening quote to behind the cell. */
static struct csv_cell scan_quoted(struct csv_scan *s)
{
    struct csv_cell c = {.p = s->at, .quoted = true};

    for (;;) {
        const char *q = memchr(s->at, s->quote, (size_t)(s->end - s->at));
        const char *stop = q ? q : s->end;

        for (const char *p = s->at; (p = memchr(p, '\n', (size_t)(stop - p))); p++) {
            s->line++;
        }
        s->at = stop;
        if (q == NULL) {
            fault(s, "a quote is opened and never closed");
            break;
        }
        if (q + 1 == s->end || q[1] != s->quote) {
            break;
        }
        c.doubled = true;
        s->at = q + 2;
    }
    c.len = (size_t)(s->at - c.p);
    s->at += s->at < s->end;
    if (s->at < s->end && *s->at != s->delim && !is_break(*s->at)) {
        fault(s, "text follows a closing quote");
        while (s->at < s->end && *s->at != s->delim && !is_break(*s->at)) {
            s->at++;
        }
    }
    return c;
}

#ifdef __SSE2__ /* every x86-64 */
enum { AT_ONCE = 16 };

/* Where the first delimiter or line break is among sixteen bytes: most cells are shorter than that,
 * so that there is nothing to guess. */
static size_t stop_in(const char *p, char delim)
{
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8(delim)),
                                 _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('\n')),
                                              _mm_cmpeq_epi8(text, _mm_set1_epi8('\r'))));
    unsigned bits = (unsigned)_mm_movemask_epi8(stops);

    return bits ? (size_t)__builtin_ctz(bits) : AT_ONCE;
}
#else
enum { AT_ONCE = 8 };

static const uint64_t EACH_BYTE = 0x0101010101010101;

/* A byte of eight that is zero has its highest bit set in the result; bytes above the lowest one of
 * those may have it for no reason (Hacker's Delight 6-1). */
static uint64_t zero_bytes(uint64_t eight)
{
    return (eight - EACH_BYTE) & ~eight & (EACH_BYTE << 7);
}

static size_t stop_in(const char *p, char delim)
{
    uint64_t eight, stops;

    memcpy(&eight, p, sizeof(eight));
    eight = le64toh(eight);
    stops = zero_bytes(eight ^ EACH_BYTE * (unsigned char)delim) |
            zero_bytes(eight ^ EACH_BYTE * '\n') | zero_bytes(eight ^ EACH_BYTE * '\r');
    return stops ? (size_t)__builtin_ctzll(stops) / 8 : AT_ONCE;
}
#endif

/* The first delimiter or line break, or the end. */
static const char *end_of_plain(const struct csv_scan *s)
{
    const char *p = s->at;

    while (s->end - p >= AT_ONCE) {
        size_t n = stop_in(p, s->delim);

        p += n;
        if (n < AT_ONCE) {
            return p;
        }
    }
    while (p < s->end && *p != s->delim && !is_break(*p)) {
        p++;
    }
    return p;
}

static struct csv_cell scan_plain(struct csv_scan *s)
{
    const char *end = end_of_plain(s);
    struct csv_cell c = {.p = s->at, .len = (size_t)(end - s->at)};

    s->at = end;
    return c;
}

static int add_cell(struct csv_scan *s, struct csv_cell c, struct err *e)
{
    if (c.len > ML_LIMIT_CELL_BYTES) {
        return err_set(e, ERR_DATA,
                       "line %llu, column %zu: the cell is longer than %llu bytes; is a quote left "
                       "open?",
                       (unsigned long long)s->record_line, s->n_cells + 1, ML_LIMIT_CELL_BYTES);
    }
    if (s->n_cells == ML_LIMIT_COLUMNS) {
        return err_set(e, ERR_DATA, "line %llu has more than %d cells",
                       (unsigned long long)s->record_line, ML_LIMIT_COLUMNS);
    }
    if (s->n_cells == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->cells = xrealloc(s->cells, s->cap * sizeof(*s->cells));
    }
    s->cells[s->n_cells++] = c;
    return 0;
}

int csv_scan_next(struct csv_scan *s, struct err *e)
{
    s->n_cells = 0;
    s->fault = NULL;
    s->record_line = s->line;
    if (s->at == s->end) {
        return 0;
    }
    for (;;) {
        bool quoted = s->quote && s->at < s->end && *s->at == s->quote;

        s->at += quoted;
        if (add_cell(s, quoted ? scan_quoted(s) : scan_plain(s), e) < 0) {
            return -1;
        }
        if (s->at == s->end) {
            return 1;
        }
        if (*s->at == s->delim) {
            s->at++; /* and a cell follows, be it empty */
            continue;
        }
        s->at += *s->at == '\r' && s->at + 1 < s->end && s->at[1] == '\n' ? 2 : 1;
        s->line++;
        return 1;
    }
}

bool csv_scan_blank(const struct csv_scan *s)
{
    return s->n_cells == 1 && s->cells[0].len == 0 && !s->cells[0].quoted;
}

struct str csv_cell_text(const struct csv_cell *c, char quote, struct buf *scratch)
{
    struct str rest = str_n(c->p, c->len);

    if (!c->doubled) {
        return rest;
    }
    buf_clear(scratch);
    while (rest.p) {
        struct str part = str_cut(&rest, quote);

        (void)buf_add(scratch, part);
        if (rest.p) { /* the cut took the first of two quotes, the second opens the rest */
            (void)buf_add(scratch, str_first(rest, 1));
            rest = str_from(rest, 1);
        }
    }
    return buf_str(scratch);
}

enum { SNIFF_BYTES = 64 * 1024, SNIFF_RECORDS = 50 };

/* How many of the first records have as many cells as the first one, times how sure two or more
 * cells make us; 0 for a delimiter that never occurs. */
static unsigned fitness(struct str text, char delim, char quote)
{
    struct csv_scan s;
    struct err ignored;
    size_t width = 0;
    unsigned same = 0, all = 0;

    csv_scan_init(&s, text, delim, quote);
    while (all < SNIFF_RECORDS && csv_scan_next(&s, &ignored) > 0) {
        if (csv_scan_blank(&s)) {
            continue;
        }
        width = all == 0 ? s.n_cells : width;
        same += s.n_cells == width;
        all++;
    }
    csv_scan_done(&s);
    return width < 2 || all == 0 ? 0 : same * 1000 / all + (width > 2);
}

char csv_sniff(struct str text, char quote)
{
    static const char candidates[] = ",;\t|";
    struct str part = str_first(text, SNIFF_BYTES);
    char best = ',';
    unsigned best_fitness = 0;

    if (part.len < text.len) { /* whole lines only */
        ptrdiff_t last = str_rfind_char(part, '\n');

        part = last > 0 ? str_first(part, (size_t)last) : part;
    }
    for (const char *c = candidates; *c; c++) {
        unsigned f = fitness(part, *c, quote);

        if (f > best_fitness) {
            best = *c;
            best_fitness = f;
        }
    }
    return best;
}
