#include "algorithms/kernel/sql_cost.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

enum { CHEAP = 1 << 20 /* expressions, some hundred bytes each */ };

struct counts {
    size_t parts; /* FROM, JOIN, IN, UNION and commas: no fewer than uses of a table */
    size_t stars;
    bool copies; /* a WITH or a UNION is there */
};

static bool in_word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '$' ||
           (c & 0x80);
}

/* Behind the text that ends with `end`. */
static size_t behind(struct str s, size_t at, const char *end)
{
    size_t n = strlen(end);

    while (at + n <= s.len && memcmp(s.p + at, end, n) != 0) {
        at++;
    }
    return at + n < s.len ? at + n : s.len;
}

static bool one_of(struct str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_nocase(word, str_of(list[i]))) {
            return true;
        }
    }
    return false;
}

static void count_word(struct counts *c, struct str word)
{
    static const char *const parts[] = {"from", "join", "in", "union"};
    static const char *const copies[] = {"with", "union"};

    c->parts += one_of(word, parts, ARRAY_LEN(parts));
    c->copies = c->copies || one_of(word, copies, ARRAY_LEN(copies));
}

static struct counts count(struct str s)
{
    struct counts c = {0};

    for (size_t at = 0; at < s.len;) {
        size_t first = at;
        char one = s.p[at++];

        if (one == '\'' || one == '"' || one == '`' || one == '[') {
            at = behind(s, at, (const char[]){one == '[' ? ']' : one, 0});
        } else if (one == '-' && at < s.len && s.p[at] == '-') {
            at = behind(s, at, "\n");
        } else if (one == '/' && at < s.len && s.p[at] == '*') {
            at = behind(s, at + 1, "*/");
        } else if (in_word(one)) {
            while (at < s.len && in_word(s.p[at])) {
                at++;
            }
            count_word(&c, str_n(s.p + first, at - first));
        }
        c.parts += one == ',';
        c.stars += one == '*';
    }
    return c;
}

/* The largest product of numbers with this sum. */
static uint64_t product(size_t sum)
{
    uint64_t n = 1;

    for (; sum >= 2 && n <= CHEAP; sum -= sum < 3 ? sum : 3) {
        n *= sum < 3 ? sum : 3;
    }
    return n;
}

bool sql_is_cheap(struct str query, size_t n_columns)
{
    struct counts c = count(query);
    uint64_t copies = c.copies ? product(c.parts + 1) : 1, stars = product(c.stars + 1);
    uint64_t tables = copies > c.parts ? copies : c.parts + 1;

    return copies <= CHEAP && stars <= CHEAP && tables <= CHEAP && copies * query.len <= CHEAP &&
           (c.stars == 0 || tables * stars <= CHEAP / (n_columns + 1)) &&
           query.len * tables / 256 <= CHEAP / (n_columns + 1);
}
