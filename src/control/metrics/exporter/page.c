#include "exporter/page.h"

#include "base/number.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const type_names[][2] = {{"gauge", "gauge"},
                                            {"counter", "counter"},
                                            {"untyped", "unknown"},
                                            {"histogram", "histogram"},
                                            {"summary", "summary"}};

bool page_is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_' && c != ':' &&
            (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.len > 0;
}

/* Some names are made of what the kernel and its drivers call a figure. */
static const char *clean(struct page *p, const char *name)
{
    size_t i = 0;

    if (page_is_name(str_of(name))) {
        return name;
    }
    for (; name[i] && i < sizeof(p->clean) - 1; i++) {
        p->clean[i] =
            page_is_name(str_n(name + i, 1)) || (name[i] >= '0' && name[i] <= '9') ? name[i] : '_';
    }
    p->clean[i] = '\0';
    return p->clean;
}

/* Whole numbers, which most are, are written digit by digit. */
static void put_number(struct buf *b, double v)
{
    char text[NUMBER_TEXT_MAX];
    size_t n = sizeof(text);

    if (!(v >= 0 && v < 1e15 && v == (double)(uint64_t)v) || (v == 0 && signbit(v))) {
        n = number_short(v, text);
        (void)buf_add(b, str_n(text, n));
        return;
    }
    uint64_t u = (uint64_t)v;
    do {
        text[--n] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    (void)buf_add(b, str_n(text + n, sizeof(text) - n));
}

/* Bytes that are no UTF-8 become U+FFFD. */
static void put_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        unsigned char c = (unsigned char)s.p[i];

        n = c < 0x80 ? 1 : str_utf8_len((const unsigned char *)s.p + i, s.len - i);
        if (n == 0) {
            n = 1;
            (void)buf_add_c(b, "\xef\xbf\xbd");
        } else if (c == '\\' || c == '"') {
            (void)buf_add(b, str_n(c == '"' ? "\\\"" : "\\\\", 2));
        } else if (c == '\n') {
            (void)buf_add_c(b, "\\n");
        } else {
            (void)buf_add(b, str_n(s.p + i, n));
        }
    }
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x80 || c == '\\' || c == '"' || c == '\n') {
            return false;
        }
    }
    return true;
}

/* Its escapes are a backslash's and a line feed's. */
static void put_help(struct buf *b, struct str s)
{
    if (is_plain(s)) {
        (void)buf_add(b, s);
        return;
    }
    for (size_t i = 0, n; i < s.len; i += n) {
        unsigned char c = (unsigned char)s.p[i];
        bool escape = c == '\\' && i + 1 < s.len && (s.p[i + 1] == '\\' || s.p[i + 1] == 'n');

        n = escape ? 2 : c < 0x80 ? 1 : str_utf8_len((const unsigned char *)s.p + i, s.len - i);
        if (n == 0) {
            n = 1;
            (void)buf_add_c(b, "\xef\xbf\xbd");
        } else {
            (void)buf_add(b, c == '\\' && !escape ? STR("\\\\") : str_n(s.p + i, n));
        }
    }
}

/* OpenMetrics 1.0: the family of a counter has no _total, its sample has. A counter that others
 * named without keeps its name, for their dashboards, and is of an unknown type there. */
void page_family(struct page *p, const char *name, enum page_type type, const char *help)
{
    bool open = p->format == EXPORTER_OPENMETRICS;
    struct str family;

    p->name = clean(p, name);
    family = str_of(p->name);
    if (open && type == PAGE_COUNTER) {
        if (str_ends(family, STR("_total"))) {
            family.len -= strlen("_total");
        } else {
            type = PAGE_UNTYPED;
        }
    }
    (void)buf_add_c(p->out, "# HELP ");
    (void)buf_add(p->out, family);
    (void)buf_add_c(p->out, " ");
    put_help(p->out, str_of(help));
    (void)buf_add_c(p->out, "\n# TYPE ");
    (void)buf_add(p->out, family);
    (void)buf_add_c(p->out, " ");
    (void)buf_add_c(p->out, type_names[type][open]);
    (void)buf_add_c(p->out, "\n");
}

void page_label(struct buf *b, const char *name, struct str value)
{
    if (b->len > 0 && b->p[b->len - 1] != '{') {
        (void)buf_add_c(b, ",");
    }
    (void)buf_add_c(b, name);
    (void)buf_add_c(b, "=\"");
    if (is_plain(value)) {
        (void)buf_add(b, value);
    } else {
        put_escaped(b, value);
    }
    (void)buf_add_c(b, "\"");
}

void page_add(struct page *p, double v, ...)
{
    const char *name;
    bool any = false;
    va_list ap;

    (void)buf_add_c(p->out, p->name);
    va_start(ap, v);
    while ((name = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);

        if (!any) {
            (void)buf_add_c(p->out, "{");
        }
        any = true;
        page_label(p->out, name, str_of(value));
    }
    va_end(ap);
    (void)buf_add_c(p->out, any ? "} " : " ");
    put_number(p->out, v);
    (void)buf_add_c(p->out, "\n");
}

void page_put(struct page *p, struct str labels, double v)
{
    (void)buf_add_c(p->out, p->name);
    if (labels.len > 0) {
        (void)buf_add_c(p->out, "{");
        (void)buf_add(p->out, labels);
        (void)buf_add_c(p->out, "}");
    }
    (void)buf_add_c(p->out, " ");
    put_number(p->out, v);
    (void)buf_add_c(p->out, "\n");
}

void page_one(struct page *p, const char *name, enum page_type type, const char *help, double v)
{
    page_family(p, name, type, help);
    page_put(p, STR_EMPTY, v);
}
