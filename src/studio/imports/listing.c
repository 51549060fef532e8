#include "imports/listing.h"

#include <stdio.h>
#include <string.h>

void listing_done(struct listing *l)
{
    buf_done(&l->last);
    buf_done(&l->token);
}

/* The text of the next element of that name; *xml goes on behind it. False: there is none. */
static bool next_element(struct str *xml, const char *name, struct str *text)
{
    char open[32], close[32];
    ptrdiff_t at, end;
    struct str rest;

    (void)snprintf(open, sizeof(open), "<%s>", name);
    (void)snprintf(close, sizeof(close), "</%s>", name);
    at = str_find(*xml, str_of(open));
    if (at < 0) {
        return false;
    }
    rest = str_from(*xml, (size_t)at + strlen(open));
    end = str_find(rest, str_of(close));
    if (end < 0) {
        return false;
    }
    *xml = str_from(rest, (size_t)end + strlen(close));
    *text = str_first(rest, (size_t)end);
    return true;
}

struct str listing_element(struct str xml, const char *name)
{
    struct str found = STR_EMPTY;

    return xml.len > 0 && next_element(&xml, name, &found) ? found : STR_EMPTY;
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %2F and + of encoding-type=url. */
static void decode(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i] == '+' ? ' ' : s.p[i];

        if (c == '%' && i + 2 < s.len && digit(s.p[i + 1]) >= 0 && digit(s.p[i + 2]) >= 0) {
            c = (char)(digit(s.p[i + 1]) * 16 + digit(s.p[i + 2]));
            i += 2;
        }
        (void)buf_add(out, str_n(&c, 1));
    }
}

/* The five names of XML; S3 escapes tokens so, keys are percent-encoded. */
static void unescape(struct str s, struct buf *out)
{
    static const struct {
        struct str name;
        char c;
    } names[] = {{{"&amp;", 5}, '&'},
                 {{"&lt;", 4}, '<'},
                 {{"&gt;", 4}, '>'},
                 {{"&quot;", 6}, '"'},
                 {{"&apos;", 6}, '\''}};

    while (s.len > 0) {
        size_t used = 1;
        char c = s.p[0];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (str_starts(s, names[i].name)) {
                c = names[i].c;
                used = names[i].name.len;
            }
        }
        (void)buf_add(out, str_n(&c, 1));
        s = str_from(s, used);
    }
}

static int compare(struct str a, struct str b)
{
    int rc = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return rc != 0 ? rc : a.len < b.len ? -1 : a.len > b.len;
}

/* A key that ends with / is a folder of people's clients. */
static int take_key(struct listing *l, struct str text, struct err *e)
{
    SCOPED(buf_done) struct buf key = BUF_MAX(LISTING_KEY_BYTES);

    decode(text, &key);
    if (key.failed || (key.len > 0 && memchr(key.p, '\0', key.len))) {
        return err_set(e, ERR_INVALID, "the store lists a key that no object has");
    }
    if (key.len == 0 || key.p[key.len - 1] == '/' ||
        (l->last.len > 0 && compare(buf_str(&key), buf_str(&l->last)) <= 0)) {
        return 0;
    }
    buf_clear(&l->last);
    (void)buf_add(&l->last, buf_str(&key));
    return 0;
}

int listing_read(struct str xml, struct listing *l, struct err *e)
{
    struct str rest = xml, text;

    if (xml.len == 0 || str_find(xml, STR("<ListBucketResult")) < 0) {
        return err_set(e, ERR_INVALID, "the store does not answer with a list of its keys");
    }
    while (next_element(&rest, "Key", &text)) {
        if (take_key(l, text, e) < 0) {
            return -1;
        }
    }
    if (str_eq_c(listing_element(xml, "IsTruncated"), "true")) {
        unescape(listing_element(xml, "NextContinuationToken"), &l->token);
        if (l->token.len == 0 || l->token.failed) {
            return err_set(e, ERR_INVALID,
                           "the store has more keys, and does not say how to go on");
        }
    }
    return 0;
}
