#include "base/buf.h"
#include "base/limits.h"
#include "labels/labels.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

struct label_regex {
    struct str pattern;
    pcre2_code *code; /* NULL when the literals say it all */
    pcre2_match_data *match;
    pcre2_match_context *context;
    struct str *literals;
    size_t n_literals;
    struct str prefix;
};

/* --- from RE2's syntax to PCRE2's --- */

struct reader {
    struct str in;
    size_t at;
    struct buf out;
    struct err *err;
};

static int refuse(struct reader *rd, const char *what)
{
    return err_set(rd->err, ERR_INVALID, "the regular expression \"%.*s\" has %s at byte %zu",
                   (int)(rd->in.len < 120 ? rd->in.len : 120), rd->in.p, what, rd->at + 1);
}

static char peek(const struct reader *rd, size_t ahead)
{
    return rd->at + ahead < rd->in.len ? rd->in.p[rd->at + ahead] : '\0';
}

static void copy(struct reader *rd, size_t n)
{
    (void)buf_add(&rd->out, str_first(str_from(rd->in, rd->at), n));
    rd->at += n;
}

/* "\Q...\E": each byte for itself. */
static void copy_quoted(struct reader *rd)
{
    rd->at += 2;
    while (rd->at < rd->in.len && !(peek(rd, 0) == '\\' && peek(rd, 1) == 'E')) {
        unsigned char c = (unsigned char)rd->in.p[rd->at++];

        if (c < 0x80 && strchr("\\^$.[]|()?*+{}-#", (int)c) != NULL && c != 0) {
            (void)buf_add(&rd->out, STR("\\"));
        }
        (void)buf_add(&rd->out, str_n((const char *)&c, 1));
    }
    rd->at += rd->at < rd->in.len ? 2 : 0;
}

/* "\x{2603}", "\p{Greek}", "\P{L}": whole, or the brace would be taken for a repetition. */
static int copy_braced(struct reader *rd)
{
    struct str in = str_from(rd->in, rd->at + 3);
    ptrdiff_t end = str_find_char(in, '}');

    for (ptrdiff_t i = 0; peek(rd, 1) == 'x' && i < end; i++) {
        end = isxdigit((unsigned char)in.p[i]) ? end : -1;
    }
    if (end <= 0) {
        return refuse(rd, peek(rd, 1) == 'x' ? "a \\x{ without hexadecimal digits and a }"
                                             : "a \\p{ without a name and a }");
    }
    copy(rd, (size_t)end + 4);
    return 0;
}

static int copy_escape(struct reader *rd, bool in_class)
{
    static const char space[] = "\\t\\n\\f\\r ";
    char c = peek(rd, 1);

    if (rd->at + 1 >= rd->in.len) {
        return refuse(rd, "a backslash with nothing behind it");
    }
    if (c == 'v') { /* PCRE2: any vertical space; RE2: one character */
        rd->at += 2;
        return buf_add(&rd->out, STR("\\x0b"));
    }
    if (c == 's' || (c == 'S' && !in_class)) { /* PCRE2's takes \v too */
        rd->at += 2;
        return in_class ? buf_add_c(&rd->out, space)
                        : buf_printf(&rd->out, "[%s%s]", c == 'S' ? "^" : "", space);
    }
    if (c != '\0' && strchr("xpP", c) != NULL && peek(rd, 2) == '{') {
        return copy_braced(rd);
    }
    if (c == 'x' && !(peek(rd, 2) != '\0' && peek(rd, 3) != '\0')) {
        return refuse(rd, "a \\x without two digits");
    }
    if (strchr("afnrtdDSwWpPx0", c) != NULL || (!in_class && strchr("AbBz", c) != NULL) ||
        ((unsigned char)c < 0x80 &&
         !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))) {
        copy(rd, 2);
        return 0;
    }
    return refuse(rd, c >= '1' && c <= '9' ? "a back reference, which RE2 does not have"
                                           : "an escape that RE2 does not have");
}

static int copy_class(struct reader *rd)
{
    copy(rd, 1);
    if (peek(rd, 0) == '^') {
        copy(rd, 1);
    }
    if (peek(rd, 0) == ']') {
        copy(rd, 1);
    }
    while (rd->at < rd->in.len && peek(rd, 0) != ']') {
        if (peek(rd, 0) == '\\') {
            if (copy_escape(rd, true) < 0) {
                return -1;
            }
        } else if (peek(rd, 0) == '[' && peek(rd, 1) == ':') {
            ptrdiff_t end = str_find(str_from(rd->in, rd->at + 2), STR(":]"));

            copy(rd, end < 0 ? 1 : (size_t)end + 4);
        } else {
            if (peek(rd, 0) == '[') { /* for PCRE2 "[." and "[=" begin something */
                (void)buf_add(&rd->out, STR("\\"));
            }
            copy(rd, 1);
        }
    }
    if (rd->at >= rd->in.len) {
        return refuse(rd, "no ] that ends the class");
    }
    copy(rd, 1);
    return 0;
}

/* "(", "(?:", "(?i)", "(?s-m:", "(?P<name>", "(?<name>" */
static int copy_group(struct reader *rd)
{
    size_t n = 2;

    if (peek(rd, 1) == '*') {
        return refuse(rd, "a * with nothing to repeat");
    }
    if (peek(rd, 1) != '?') {
        copy(rd, 1);
        return 0;
    }
    if ((peek(rd, 2) == 'P' && peek(rd, 3) == '<') ||
        (peek(rd, 2) == '<' && peek(rd, 3) != '=' && peek(rd, 3) != '!')) {
        copy(rd, peek(rd, 2) == 'P' ? 4 : 3);
        return 0;
    }
    while (strchr("imsU-", peek(rd, n)) != NULL && peek(rd, n) != '\0') {
        n++;
    }
    if ((peek(rd, n) != ':' && peek(rd, n) != ')') || (n == 2 && peek(rd, n) == ')')) {
        return refuse(rd, "a group that RE2 does not have (look-around, conditions)");
    }
    copy(rd, n + 1);
    return 0;
}

/* "{2}", "{2,}", "{2,5}": its length; 0 when the brace stands for itself. */
static size_t repeat_length(struct str s, unsigned long *most)
{
    size_t i = 1, digits = 0;
    unsigned long n = 0;

    *most = 0;
    for (int part = 0; part < 2; part++) {
        for (n = 0, digits = 0; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++, digits++) {
            n = n < 100000 ? n * 10 + (unsigned long)(s.p[i] - '0') : n;
        }
        *most = n > *most ? n : *most;
        if (part == 0 && digits == 0) {
            return 0;
        }
        if (i >= s.len || s.p[i] != ',') {
            break;
        }
        i += part == 0;
    }
    return i < s.len && s.p[i] == '}' ? i + 1 : 0;
}

enum { REPEAT_MAX = 1000 }; /* as in RE2 */

static int copy_repeat(struct reader *rd, bool *repeated)
{
    unsigned long most = 0;
    size_t n = peek(rd, 0) == '{' ? repeat_length(str_from(rd->in, rd->at), &most) : 1;

    if (n == 0) {
        *repeated = false;
        (void)buf_add(&rd->out, STR("\\"));
        copy(rd, 1);
        return 0;
    }
    if (*repeated) {
        return refuse(rd, "one repetition behind another");
    }
    if (most > REPEAT_MAX) {
        return refuse(rd, "more than 1000 repetitions");
    }
    copy(rd, n);
    if (peek(rd, 0) == '?') {
        copy(rd, 1);
    }
    *repeated = true;
    return 0;
}

static int translate(struct reader *rd)
{
    bool repeated = false;

    while (rd->at < rd->in.len) {
        char c = peek(rd, 0);
        bool repeats = c == '*' || c == '+' || c == '?' || c == '{';
        int r = 0;

        if (repeats) {
            if (copy_repeat(rd, &repeated) < 0) {
                return -1;
            }
            continue;
        }
        repeated = false;
        if (c == '\\' && peek(rd, 1) == 'Q') {
            copy_quoted(rd);
        } else if (c == '\\') {
            r = copy_escape(rd, false);
        } else if (c == '[') {
            r = copy_class(rd);
        } else if (c == '(') {
            r = copy_group(rd);
        } else {
            copy(rd, 1);
        }
        if (r < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- what needs no engine --- */

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\0' || strchr("\\^$.[]()?*+{}", s.p[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* "a|b|c", and the same in one pair of parentheses. */
static void find_literals(struct label_regex *r, struct arena *a)
{
    struct str s = r->pattern, rest;
    size_t n = 1, kept = 0;

    if (str_starts(s, STR("(?:")) && str_ends(s, STR(")"))) {
        s = str_first(str_from(s, 3), s.len - 4);
    } else if (str_starts(s, STR("(")) && str_ends(s, STR(")"))) {
        s = str_first(str_from(s, 1), s.len - 2);
    }
    if (!is_plain(s)) {
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        n += s.p[i] == '|';
    }
    r->literals = arena_new_array(a, struct str, n);
    for (rest = s; rest.p != NULL && kept < n;) {
        r->literals[kept++] = str_cut(&rest, '|');
    }
    qsort(r->literals, n, sizeof(struct str), by_bytes);
    for (size_t i = kept = 0; i < n; i++) {
        if (kept == 0 || !str_eq(r->literals[i], r->literals[kept - 1])) {
            r->literals[kept++] = r->literals[i];
        }
    }
    r->n_literals = kept;
}

static void find_prefix(struct label_regex *r)
{
    size_t n = 0;

    if (str_find_char(r->pattern, '|') >= 0) {
        return;
    }
    while (n < r->pattern.len && is_plain(str_n(r->pattern.p + n, 1))) {
        n++;
    }
    if (n < r->pattern.len && strchr("?*{", r->pattern.p[n]) != NULL) {
        /* the last character, of any number of bytes, is optional */
        while (n > 0 && ((unsigned char)r->pattern.p[n - 1] & 0xc0) == 0x80) {
            n--;
        }
        n -= n > 0;
    }
    r->prefix = str_first(r->pattern, n);
}

/* --- the engine: its memory is the arena's --- */

static void *take_memory(PCRE2_SIZE size, void *arena)
{
    return arena_alloc(arena, size);
}

static void give_memory(void *p UNUSED, void *arena UNUSED) {}

enum {
    STEPS_MAX = 200000,
    HEAP_MAX_KIB = 4096,
    REPLACED_MAX = 1000 /* before each match PCRE2 looks at all of the text that is left */
};

enum {
    ANCHORED = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL,
    SEARCHING = 0,
    ALWAYS = PCRE2_DOLLAR_ENDONLY | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C
};

static int compile(struct label_regex *r, struct arena *a, struct str text, uint32_t how,
                   struct err *e)
{
    pcre2_general_context *general = pcre2_general_context_create(take_memory, give_memory, a);
    pcre2_compile_context *settings = pcre2_compile_context_create(general);
    PCRE2_SIZE where;
    int code;

    (void)pcre2_set_max_pattern_length(settings, LIMIT_REGEX_BYTES * 8);
    r->code = pcre2_compile((PCRE2_SPTR)text.p, text.len, how | ALWAYS, &code, &where, settings);
    if (r->code == NULL) {
        char why[128];

        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        return err_set(e, ERR_INVALID, "the regular expression \"%.*s\" cannot be read: %s",
                       (int)(r->pattern.len < 200 ? r->pattern.len : 200), r->pattern.p, why);
    }
    r->match = pcre2_match_data_create_from_pattern(r->code, general);
    r->context = pcre2_match_context_create(general);
    (void)pcre2_set_match_limit(r->context, STEPS_MAX);
    (void)pcre2_set_heap_limit(r->context, HEAP_MAX_KIB);
    return 0;
}

static struct label_regex *regex_new(struct arena *a, struct str pattern, uint32_t how,
                                     struct err *e)
{
    struct label_regex *r = arena_new(a, struct label_regex);
    struct reader rd = {.in = pattern, .out = BUF_MAX(LIMIT_REGEX_BYTES * 8), .err = e};
    int failed;

    if (pattern.len > LIMIT_REGEX_BYTES) {
        (void)err_set(e, ERR_LIMIT, "a regular expression has %zu bytes; at most %d are taken",
                      pattern.len, (int)LIMIT_REGEX_BYTES);
        return NULL;
    }
    r->pattern = arena_str(a, pattern);
    r->prefix = STR_EMPTY;
    if (how == ANCHORED) {
        find_literals(r, a);
        find_prefix(r);
    }
    failed = translate(&rd) < 0 || compile(r, a, buf_str(&rd.out), how, e) < 0;
    buf_done(&rd.out);
    return failed ? NULL : r;
}

struct label_regex *label_regex_new(struct arena *a, struct str pattern, struct err *e)
{
    return regex_new(a, pattern, ANCHORED, e);
}

struct label_regex *label_regex_search_new(struct arena *a, struct str pattern, struct err *e)
{
    return regex_new(a, pattern, SEARCHING, e);
}

static int run(struct label_regex *r, struct str s, size_t from, struct err *e)
{
    int n = pcre2_match(r->code, (PCRE2_SPTR)s.p, s.len, from, 0, r->match, r->context);

    if (n >= 0) {
        return 1;
    }
    if (n == PCRE2_ERROR_NOMATCH) {
        return 0;
    }
    return err_set(
        e, ERR_LIMIT,
        "the regular expression \"%.*s\" needs more than %d steps: name what it is to match "
        "more exactly, without repetitions inside of repetitions",
        (int)(r->pattern.len < 200 ? r->pattern.len : 200), r->pattern.p, STEPS_MAX);
}

int label_regex_match(struct label_regex *r, struct str s, struct err *e)
{
    if (r->literals != NULL) {
        return bsearch(&s, r->literals, r->n_literals, sizeof(struct str), by_bytes) != NULL;
    }
    if (!str_starts(s, r->prefix)) {
        return 0;
    }
    return run(r, s, 0, e);
}

const struct str *label_regex_literals(const struct label_regex *r, size_t *n)
{
    *n = r->n_literals;
    return r->literals;
}

struct str label_regex_prefix(const struct label_regex *r)
{
    return r->prefix;
}

size_t label_regex_groups(const struct label_regex *r)
{
    uint32_t n = 0;

    (void)pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}

/* --- templates --- */

static struct str group(const struct label_regex *r, struct str s, struct str name)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);
    uint32_t count = pcre2_get_ovector_count(r->match);
    uint64_t n;
    char text[64];

    if (str_to_u64(name, &n) < 0) {
        int found;

        if (str_copy(name, text, sizeof(text)) < 0 ||
            (found = pcre2_substring_number_from_name(r->code, (PCRE2_SPTR)text)) < 0) {
            return STR_EMPTY;
        }
        n = (uint64_t)found;
    }
    if (n >= count || at[2 * n] == PCRE2_UNSET) {
        return STR_EMPTY;
    }
    return str_n(s.p + at[2 * n], at[2 * n + 1] - at[2 * n]);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The reference behind a '$' at s.p[0]: its length, 0 when it is none; its name. */
static size_t reference(struct str s, struct str *name)
{
    size_t n = 1, from;
    bool braces = s.len > 1 && s.p[1] == '{';

    from = n += braces;
    while (n < s.len && is_word(s.p[n])) {
        n++;
    }
    *name = str_first(str_from(s, from), n - from);
    if (n == from || (braces && (n >= s.len || s.p[n] != '}'))) {
        return 0;
    }
    return n + braces;
}

/* The template with what the last match of `s` found. */
static void expand(const struct label_regex *r, struct str s, struct str template, struct buf *out)
{
    while (template.len > 0) {
        ptrdiff_t dollar = str_find_char(template, '$');
        struct str name, rest;
        size_t n;

        (void)buf_add(out, dollar < 0 ? template : str_first(template, (size_t)dollar));
        if (dollar < 0) {
            break;
        }
        rest = str_from(template, (size_t)dollar);
        n = reference(rest, &name);
        if (n > 0) {
            (void)buf_add(out, group(r, s, name));
        } else { /* "$$" is one; Go: what cannot be read goes on behind the dollar, with it */
            n = rest.len > 1 && rest.p[1] == '$' ? 2 : 1;
            (void)buf_add(out, STR("$"));
        }
        template = str_from(rest, n);
    }
}

static int too_long(const struct buf *out, struct err *e)
{
    return err_set(e, ERR_LIMIT, "a replacement is longer than %zu bytes", out->max);
}

int label_regex_expand(struct label_regex *r, struct str s, struct str template, struct buf *out,
                       struct err *e)
{
    int matched = run(r, s, 0, e);

    if (matched == 1) {
        expand(r, s, template, out);
    }
    return out->failed ? too_long(out, e) : matched;
}

int label_regex_replace(struct label_regex *r, struct str s, struct str template, struct buf *out,
                        struct err *e)
{
    size_t done = 0, from = 0, n = 0;

    while (from <= s.len && !out->failed) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);
        int matched = run(r, s, from, e);
        size_t width =
            from < s.len ? str_utf8_len((const unsigned char *)s.p + from, s.len - from) : 1;

        if (matched < 0) {
            return -1;
        }
        if (matched == 0) {
            break;
        }
        if (++n > REPLACED_MAX) {
            return err_set(e, ERR_LIMIT,
                           "the regular expression \"%.*s\" matches more than %d times in one "
                           "text: match longer pieces of it",
                           STR_ARG(str_first(r->pattern, 200)), REPLACED_MAX);
        }
        (void)buf_add(out, str_n(s.p + done, at[0] - done));
        if (at[1] > done || at[0] == 0) { /* Go: no empty match right behind another */
            expand(r, s, template, out);
        }
        done = at[1];
        width = width > 0 ? width : 1;
        from = from + width > at[1] ? from + width : at[1];
    }
    (void)buf_add(out, str_from(s, done));
    return out->failed ? too_long(out, e) : 0;
}
