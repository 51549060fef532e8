#include "volume/path.h"

#include "base/log.h"

#include <string.h>

static int check_component(struct str path, struct str part, struct err *e)
{
    if (part.len == 0) {
        return err_set(e, ERR_INVALID,
                       "path %s has an empty part: write single slashes, none at the ends",
                       Q(path));
    }
    if (str_eq_c(part, ".") || str_eq_c(part, "..")) {
        return err_set(e, ERR_INVALID, "path %s has the part \"%.*s\", which is not allowed",
                       Q(path), STR_ARG(part));
    }
    if (part.len > 255) {
        return err_set(e, ERR_INVALID,
                       "a part of the path has %zu bytes and at most 255 are allowed: %s", part.len,
                       Q(str_first(part, 60)));
    }
    return 0;
}

int volume_path_check(struct str path, enum volume_path_kind kind, struct err *e)
{
    struct str rest = path;
    bool first = true;

    if (path.len == 0) {
        return kind == VOLUME_PATH_OR_ROOT
                   ? 0
                   : err_set(e, ERR_INVALID, "the path of a file is missing");
    }
    if (path.len > LIMIT_VOLUME_PATH_BYTES) {
        return err_set(e, ERR_INVALID, "the path has %zu bytes and at most %d are allowed",
                       path.len, LIMIT_VOLUME_PATH_BYTES);
    }
    if (memchr(path.p, '\0', path.len) != NULL) {
        return err_set(e, ERR_INVALID, "path %s holds a NUL byte", Q(path));
    }
    while (rest.p != NULL) {
        struct str part = str_cut(&rest, '/');

        if (check_component(path, part, e) < 0) {
            return -1;
        }
        if (first && str_eq_c(part, VOLUME_HIDDEN)) {
            return err_set(e, ERR_INVALID,
                           "path %s begins with \"%s\", which Strata keeps for itself", Q(path),
                           VOLUME_HIDDEN);
        }
        first = false;
    }
    return 0;
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int volume_name_check(struct str name, struct err *e)
{
    bool ok = name.len > 0 && name.len <= LIMIT_NAME_BYTES && is_lower_or_digit(name.p[0]);

    for (size_t i = 0; ok && i < name.len; i++) {
        ok = is_lower_or_digit(name.p[i]) || str_find_char(STR("._-"), name.p[i]) >= 0;
    }
    if (!ok) {
        return err_set(
            e, ERR_INVALID,
            "%s is no name for a volume: 1 to %d of a-z, 0-9, '.', '_' and '-', beginning "
            "with a letter or digit",
            Q(name), LIMIT_NAME_BYTES);
    }
    return 0;
}

bool volume_id_ok(struct str id)
{
    if (id.len != 12 || !str_starts(id, STR("v-"))) {
        return false;
    }
    for (size_t i = 2; i < id.len; i++) {
        if (!is_lower_or_digit(id.p[i])) {
            return false;
        }
    }
    return true;
}

bool volume_upload_name_ok(struct str name)
{
    if (name.len == 0 || name.len > 100) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_lower_or_digit(name.p[i]) && name.p[i] != '-') {
            return false;
        }
    }
    return true;
}

/* Length of the UTF-8 sequence at p, 0 when there is none. RFC 3629 section 4. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char lead_first, lead_last, second_first, second_last, len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        size_t n = forms[i].len;

        if (p[0] < forms[i].lead_first || p[0] > forms[i].lead_last) {
            continue;
        }
        if (n > left || (n > 1 && (p[1] < forms[i].second_first || p[1] > forms[i].second_last))) {
            return 0;
        }
        for (size_t k = 2; k < n; k++) {
            if ((p[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return n;
    }
    return 0;
}

bool volume_is_utf8(struct str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_sequence((const unsigned char *)s.p + i, s.len - i);

        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

static const char hex_digits[] = "0123456789ABCDEF";

int volume_percent_add(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char out[3] = {'%', hex_digits[c >> 4], hex_digits[c & 15]};
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c != '\0' && strchr("-._~/", c) != NULL);

        (void)buf_add(b, plain ? str_n(s.p + i, 1) : str_n(out, 3));
    }
    return b->failed ? -1 : 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int volume_percent_decode(struct str s, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < s.len; i++) {
        char byte = s.p[i];

        if (byte == '%') {
            int high = s.len - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int low = s.len - i > 2 ? hex_value(s.p[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return err_set(e, ERR_INVALID, "broken %%-escape in %s at byte %zu", Q(s), i);
            }
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (buf_add(out, str_n(&byte, 1)) < 0) {
            return err_set(e, ERR_INVALID, "%s is too long", Q(str_first(s, 60)));
        }
    }
    return 0;
}
