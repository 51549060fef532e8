#include "volume/range.h"

#include "base/log.h"

#include <string.h>

static int parse_number(struct str s, int64_t *out)
{
    uint64_t v;

    if (str_to_u64(s, &v) < 0 || v > INT64_MAX) {
        return -1;
    }
    *out = (int64_t)v;
    return 0;
}

static int bad_range(struct str value, struct err *e)
{
    return err_set(
        e, ERR_INVALID,
        "Content-Range %s cannot be used: write \"bytes FIRST-LAST/TOTAL\", as in \"bytes "
        "0-1048575/4194304\"",
        Q(value));
}

int volume_range_parse(struct str value, struct volume_range *out, struct err *e)
{
    struct str rest = value, unit = str_cut(&rest, ' '), range, first;
    struct volume_range r = {0};
    int64_t last;

    if (!str_eq_nocase(unit, STR("bytes")) || rest.p == NULL) {
        return bad_range(value, e);
    }
    range = str_cut(&rest, '/');
    if (rest.p == NULL || parse_number(rest, &r.total) < 0) {
        return bad_range(value, e);
    }
    if (str_eq_c(range, "*")) {
        r.from = r.total;
        *out = r;
        return 0;
    }
    first = str_cut(&range, '-');
    if (range.p == NULL || parse_number(first, &r.from) < 0 || parse_number(range, &last) < 0 ||
        last < r.from - 1 || last >= r.total || (last < r.from && r.from != r.total)) {
        return bad_range(value, e);
    }
    r.length = last - r.from + 1;
    *out = r;
    return 0;
}

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (str_find_char(STR("abcdefghijklmnopqrstuvwxyz0123456789_-.*"), key.p[i]) < 0) {
            return false;
        }
    }
    return key.len > 0;
}

static struct str trim_member(struct str member)
{
    member = str_trim(member);
    return str_trim(str_cut(&member, ';')); /* parameters say nothing to us */
}

/* ":base64:" into `out`; -1 when it is none. */
static int byte_sequence(struct str s, struct buf *out)
{
    if (s.len < 2 || s.p[0] != ':' || s.p[s.len - 1] != ':') {
        return -1;
    }
    return base64_decode(str_n(s.p + 1, s.len - 2), out);
}

int volume_digest_parse(const char *header, struct str value, unsigned char out[SHA256_BYTES],
                        struct err *e)
{
    struct str rest = value;
    bool found = false;

    while (rest.p != NULL) {
        struct str item = trim_member(str_cut(&rest, ',')), key = str_cut(&item, '=');
        struct buf bytes = BUF_MAX(64);
        bool ok = is_key(key) && item.p != NULL && byte_sequence(item, &bytes) == 0;

        if (ok && str_eq_c(key, "sha-256")) {
            ok = bytes.len == SHA256_BYTES;
            if (ok) {
                memcpy(out, bytes.p, SHA256_BYTES);
            }
            found = true;
        }
        buf_done(&bytes);
        if (!ok) {
            return err_set(e, ERR_INVALID, "%s %s cannot be used: write \"sha-256=:BASE64:\"",
                           header, Q(value));
        }
    }
    return found ? 0
                 : err_set(e, ERR_INVALID, "%s names no sha-256, the one digest that is checked",
                           header);
}
