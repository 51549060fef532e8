#include "main/cli/cli.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CELL_MAX = 80, SHELL_WORD_MAX = 300, CHART_COLUMNS = 60 };

const char *json_text(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return s ? s : "";
}

int64_t json_number(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

static const json_t *follow(const json_t *row, const char *dotted)
{
    struct str rest = str_of(dotted);

    while (rest.p && row) {
        SCOPED(freep) char *key = str_dup(str_cut(&rest, '.'));

        row = json_object_get(row, key);
    }
    return row;
}

/* "3 min", "2 h", "5 d" since an RFC 3339 time. */
static void format_age(const char *when, char out[32])
{
    struct tm tm = {0};
    int64_t s;

    if (strptime(when, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        (void)snprintf(out, 32, "-");
        return;
    }
    s = clock_wall_ms() / 1000 - timegm(&tm);
    s = s < 0 ? 0 : s;
    if (s < 120) {
        (void)snprintf(out, 32, "%lld s", (long long)s);
    } else if (s < 7200) {
        (void)snprintf(out, 32, "%lld min", (long long)s / 60);
    } else if (s < 172800) {
        (void)snprintf(out, 32, "%lld h", (long long)s / 3600);
    } else {
        (void)snprintf(out, 32, "%lld d", (long long)s / 86400);
    }
}

/* Control bytes made visible; cut at CELL_MAX. */
static void clean(const char *s, char *out)
{
    size_t n = 0;

    for (; *s && n < CELL_MAX; s++) {
        out[n++] = (unsigned char)*s < 32 || *s == 127 ? '?' : *s;
    }
    out[n] = '\0';
}

/* How Prometheus' API writes a time that has not been. */
static bool is_never(const char *time)
{
    return strncmp(time, "0001-01-01", 10) == 0;
}

static void format_cell(const json_t *v, enum column_kind kind, char out[CELL_MAX + 1])
{
    char small[32];

    if (v == NULL || json_is_null(v) ||
        (kind == COLUMN_AGE && (!json_is_string(v) || is_never(json_string_value(v))))) {
        (void)snprintf(out, CELL_MAX, "-");
    } else if (kind == COLUMN_BYTES) {
        (void)snprintf(out, CELL_MAX, "%s", str_format_bytes(json_integer_value(v), small));
    } else if (kind == COLUMN_CPU) {
        (void)snprintf(out, CELL_MAX, "%g", (double)json_integer_value(v) / 1000);
    } else if (kind == COLUMN_AGE) {
        format_age(json_string_value(v), small);
        (void)snprintf(out, CELL_MAX, "%s", small);
    } else if (kind == COLUMN_YES || json_is_boolean(v)) {
        (void)snprintf(out, CELL_MAX, "%s", json_is_true(v) ? "yes" : "no");
    } else if (json_is_string(v)) {
        clean(json_string_value(v), out);
    } else {
        (void)snprintf(out, CELL_MAX, "%lld", (long long)json_integer_value(v));
    }
}

/* Columns on a screen: continuation bytes of UTF-8 take none. */
static int width_of(const char *s)
{
    int n = 0;

    for (; *s; s++) {
        n += ((unsigned char)*s & 0xc0) != 0x80;
    }
    return n;
}

static bool is_right(enum column_kind k)
{
    return k == COLUMN_BYTES || k == COLUMN_CPU || k == COLUMN_NUMBER;
}

static void print_cell(const char *text, int width, enum column_kind kind, bool last)
{
    int pad = width - width_of(text);

    if (is_right(kind)) {
        (void)printf("%*s%s%s", pad, "", text, last ? "\n" : "  ");
    } else if (last) {
        (void)printf("%s\n", text);
    } else {
        (void)printf("%s%*s", text, pad + 2, "");
    }
}

void table_print(const json_t *items, const struct column *columns, size_t n, const char *empty)
{
    int *widths = xnew_array(int, n);
    char cell[CELL_MAX + 1];
    size_t i;
    const json_t *row;

    if (json_array_size(items) == 0) {
        (void)printf("%s\n", empty);
        free(widths);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        widths[k] = width_of(columns[k].title);
        json_array_foreach(items, i, row)
        {
            format_cell(follow(row, columns[k].key), columns[k].kind, cell);
            widths[k] = width_of(cell) > widths[k] ? width_of(cell) : widths[k];
        }
    }
    for (size_t k = 0; k < n; k++) {
        print_cell(columns[k].title, widths[k], columns[k].kind, k + 1 == n);
    }
    json_array_foreach(items, i, row)
    {
        for (size_t k = 0; k < n; k++) {
            const json_t *v = follow(row, columns[k].key);

            if (columns[k].kind == COLUMN_WHOLE && json_is_string(v)) {
                print_safe(stdout, str_of(json_string_value(v)));
                (void)putchar('\n');
                continue;
            }
            format_cell(v, columns[k].kind, cell);
            print_cell(cell, widths[k], columns[k].kind, k + 1 == n);
        }
    }
    free(widths);
}

void print_done(const struct cli *c, const char *fmt, ...)
{
    SCOPED(freep) char *text = NULL;
    va_list ap;
    int n;

    if (c->json) {
        (void)puts("{\"done\": true}");
        return;
    }
    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        text = NULL;
        return;
    }
    print_safe(stdout, str_of(text));
    (void)putchar('\n');
}

void print_pairs(const char *const *pairs)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(64 * 1024);
    struct jw w = JW(&b);

    jw_object(&w);
    for (; pairs[0]; pairs += 2) {
        jw_kv_c(&w, pairs[0], pairs[1]);
    }
    jw_end(&w);
    (void)printf("%s\n", b.p ? b.p : "{}");
}

void print_facts(const char *const *pairs)
{
    int width = 0;

    for (const char *const *p = pairs; p[0]; p += 2) {
        width = (int)strlen(p[0]) > width ? (int)strlen(p[0]) : width;
    }
    for (; pairs[0]; pairs += 2) {
        if (pairs[1][0] != '\0') {
            (void)printf("%-*s  ", width, pairs[0]);
            print_safe(stdout, str_of(pairs[1]));
            (void)putchar('\n');
        }
    }
}

bool print_json(const struct cli *c, const json_t *value)
{
    enum { FLAGS = JSON_INDENT(2) | JSON_ENCODE_ANY };
    SCOPED(freep) char *text = NULL;

    if (!c->json) {
        return false;
    }
    text = json_dumps(value, FLAGS);
    if (text != NULL &&
        steers_terminal(str_of(text))) { /* ASCII's own control bytes are escaped always */
        free(text);
        text = json_dumps(value, FLAGS | JSON_ENSURE_ASCII);
    }
    (void)printf("%s\n", text ? text : "");
    return true;
}

static bool is_plain_word(const char *s)
{
    size_t n =
        strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-");

    return n > 0 && s[n] == '\0';
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char ch = (unsigned char)s.p[i];

        if (ch < 32 || ch == 127) {
            return true;
        }
    }
    return steers_terminal(s);
}

/* $'...' is of bash, zsh, ksh and POSIX of 2024: what else would write a control byte so that it
 * can be read and copied? */
const char *shell_word(const char *s)
{
    static struct arena arena; /* of the process, as for url_segment */
    struct buf b = BUF_MAX(4 * KIB);
    struct str all = str_of(s);
    bool escapes = has_control(all);
    const char *out;

    if (s[0] == '-' || all.len > SHELL_WORD_MAX) { /* an option; half a word, where it is cut */
        return "NAME";
    }
    if (is_plain_word(s)) {
        return s;
    }
    (void)buf_add_c(&b, escapes ? "$'" : "'");
    for (size_t i = 0; i < all.len; i++) {
        unsigned char ch = (unsigned char)s[i];

        if (escapes && (ch < 32 || ch >= 127)) {
            (void)buf_printf(&b, "\\x%02x", ch);
        } else if (ch == '\'' || (ch == '\\' && escapes)) {
            (void)buf_printf(&b, escapes ? "\\%c" : "'\\%c'", ch);
        } else {
            (void)buf_printf(&b, "%c", ch);
        }
    }
    (void)buf_add_c(&b, "'");
    out = arena_strdup(&arena, buf_str(&b));
    buf_done(&b);
    return out;
}

/* A bar for each column: the highest of the samples it stands for, between the two. */
void print_chart(const double *values, size_t n, double least, double most)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t columns = n < CHART_COLUMNS ? n : CHART_COLUMNS;

    for (size_t c = 0; c < columns; c++) {
        double high = NAN;

        for (size_t i = c * n / columns; i < (c + 1) * n / columns; i++) {
            high = isnan(high) || values[i] > high ? values[i] : high;
        }
        (void)fputs(isnan(high) ? " "
                    : most > least
                        ? bars[(size_t)((fmax(least, high) - least) / (most - least) * 7)]
                        : bars[0],
                    stdout);
    }
    (void)putchar('\n');
}

char *filter_query(const struct cli *c)
{
    const char *filter = cli_option(c, "filter");

    return filter ? xasprintf("&q=%s", url_segment(filter)) : xstrdup("");
}

const char *empty_text(const struct cli *c, const char *text)
{
    return cli_option(c, "filter") ? "Nothing fits the filter." : text;
}

json_t *json_words(const char *text)
{
    json_t *list = json_array();
    struct str rest = str_of(text);

    while (rest.len > 0) {
        struct str word = str_trim(str_cut(&rest, ','));

        (void)json_array_append_new(list, json_stringn(word.p, word.len));
    }
    return list;
}

int list_all(struct cli *c, struct str path, json_t **items, struct err *e)
{
    SCOPED(json_decrefp) json_t *all = json_array();
    SCOPED(freep) char *after = xstrdup("");
    SCOPED(freep) char *filter = filter_query(c);
    const char *sep = str_find_char(path, '?') >= 0 ? "&" : "?";

    for (;;) {
        SCOPED(json_decrefp) json_t *page = NULL;
        const char *next;

        if (client_call(c->client, "GET", NULL, &page, e, "%.*s%slimit=1000%s%s%s", STR_ARG(path),
                        sep, filter, after[0] ? "&after=" : "", after) < 0) {
            return -1;
        }
        (void)json_array_extend(all, json_object_get(page, "items"));
        next = json_text(page, "next");
        if (next[0] == '\0') {
            *items = TAKE(all);
            return 0;
        }
        free(after);
        after = xstrdup(url_segment(next));
    }
}
