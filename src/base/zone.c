#include "base/zone.h"

#include "base/fs.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { HEAD = 44, TYPE = 6 };

/* RFC 8536, 3.1: counts behind the magic, version and 15 reserved bytes. */
struct counts {
    uint64_t isut, isstd, leap, time, type, chars;
};

static uint64_t be(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static bool read_head(struct str s, struct counts *c)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.len < HEAD || memcmp(s.p, "TZif", 4) != 0) {
        return false;
    }
    *c = (struct counts){be(p + 20, 4), be(p + 24, 4), be(p + 28, 4),
                         be(p + 32, 4), be(p + 36, 4), be(p + 40, 4)};
    return true;
}

static uint64_t body_bytes(const struct counts *c, uint64_t time_bytes)
{
    return c->time * time_bytes + c->time + c->type * TYPE + c->chars + c->leap * (time_bytes + 4) +
           c->isstd + c->isut;
}

static int broken(struct err *e)
{
    return err_set(e, ERR_INVALID, "the file of the time zone cannot be read");
}

int zone_parse(struct str bytes, struct zone *out, struct err *e)
{
    struct counts c;
    const unsigned char *times, *kinds, *types;
    size_t width = 4;

    if (!read_head(bytes, &c)) {
        return broken(e);
    }
    if (bytes.p[4] >= '2') { /* the same again with 64 bits, behind the old form */
        uint64_t skip = HEAD + body_bytes(&c, 4);

        if (skip > bytes.len || !read_head(str_from(bytes, (size_t)skip), &c)) {
            return broken(e);
        }
        bytes = str_from(bytes, (size_t)skip);
        width = 8;
    }
    if (body_bytes(&c, width) > bytes.len - HEAD || c.type == 0 || c.time > ZONE_CHANGES) {
        return broken(e);
    }
    times = (const unsigned char *)bytes.p + HEAD;
    kinds = times + c.time * width;
    types = kinds + c.time;
    *out = (struct zone){.n = (size_t)c.time, .first_sec = (int32_t)be(types, 4)};
    for (size_t i = 0; i < out->n; i++) {
        if (kinds[i] >= c.type) {
            return broken(e);
        }
        out->at_sec[i] = width == 8 ? (int64_t)be(times + i * 8, 8) : (int32_t)be(times + i * 4, 4);
        out->offset_sec[i] = (int32_t)be(types + (size_t)kinds[i] * TYPE, 4);
    }
    for (size_t i = 0; i < out->n; i++) {
        if ((i > 0 && out->at_sec[i] <= out->at_sec[i - 1]) || out->offset_sec[i] < -93600 ||
            out->offset_sec[i] > 93600) {
            return broken(e);
        }
    }
    return out->first_sec < -93600 || out->first_sec > 93600 ? broken(e) : 0;
}

/* "+08:00" */
static bool fixed(struct str s, int32_t *out)
{
    uint64_t hours, minutes;

    if (s.len != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' ||
        str_to_u64(str_n(s.p + 1, 2), &hours) < 0 || str_to_u64(str_n(s.p + 4, 2), &minutes) < 0 ||
        hours > 14 || minutes > 59) {
        return false;
    }
    *out = (int32_t)(hours * 3600 + minutes * 60) * (s.p[0] == '-' ? -1 : 1);
    return true;
}

static bool name_ok(struct str s)
{
    static const char bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";

    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\0' || strchr(bytes, s.p[i]) == NULL) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 64 && s.p[0] != '/';
}

int zone_open(struct str name, struct zone *out, struct err *e)
{
    SCOPED(buf_done) struct buf bytes = BUF_MAX(256 * KIB);
    char path[128];
    struct err why;

    *out = (struct zone){0};
    if (str_eq_c(name, "UTC") || fixed(name, &out->first_sec)) {
        return 0;
    }
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", STR_ARG(str_first(name, 64)));
    if (!name_ok(name) || fs_read(AT_FDCWD, path, &bytes, &why) < 0 ||
        zone_parse(buf_str(&bytes), out, &why) < 0) {
        return err_set(e, ERR_INVALID,
                       "there is no time zone '%.*s': give one such as Asia/Taipei (of the package "
                       "tzdata), UTC or +08:00",
                       STR_ARG(str_first(name, 64)));
    }
    return 0;
}

int64_t zone_offset_ms(const struct zone *z, int64_t utc_ms)
{
    int32_t offset = z->first_sec;

    for (size_t i = 0; i < z->n && z->at_sec[i] <= utc_ms / 1000; i++) {
        offset = z->offset_sec[i];
    }
    return (int64_t)offset * 1000;
}

int64_t zone_cron_next(const struct zone *z, const struct cron *c, int64_t utc_ms)
{
    int64_t local = utc_ms + zone_offset_ms(z, utc_ms);

    for (int i = 0; i < 200; i++) { /* a change lasts hours: as many minutes */
        int64_t next = cron_next(c, local), at;

        if (next < 0) {
            return -1;
        }
        at = next - zone_offset_ms(z, next - zone_offset_ms(z, next));
        if (at > utc_ms) {
            return at;
        }
        local = next;
    }
    return -1;
}
