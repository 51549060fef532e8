#include "volume/tar.h"

#include "volume/path.h"

#include <stdio.h>
#include <string.h>

/* ustar Header Block. Numbers are octal text with a NUL. */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
    char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155], rest[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a block");

#define SIZE_MAX_USTAR 077777777777ULL /* eleven digits */

static void put_octal(char *field, size_t size, uint64_t v)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i-- > 0; v >>= 3) {
        field[i] = (char)('0' + (v & 7));
    }
}

/* Six digits, a NUL and a space, over the block with spaces in their place. */
static void put_checksum(struct ustar *h)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;

    memset(h->chksum, ' ', sizeof(h->chksum));
    for (size_t i = 0; i < sizeof(*h); i++) {
        sum += p[i];
    }
    put_octal(h->chksum, 7, sum);
}

static int put_ustar(struct buf *out, char type, struct str name, struct str link, unsigned mode,
                     uint64_t size, int64_t mtime)
{
    struct ustar h = {.typeflag = type};

    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    memcpy(h.name, name.p, name.len < sizeof(h.name) ? name.len : sizeof(h.name));
    memcpy(h.linkname, link.p, link.len < sizeof(h.linkname) ? link.len : sizeof(h.linkname));
    put_octal(h.mode, sizeof(h.mode), mode);
    put_octal(h.uid, sizeof(h.uid), 0);
    put_octal(h.gid, sizeof(h.gid), 0);
    put_octal(h.devmajor, sizeof(h.devmajor), 0);
    put_octal(h.devminor, sizeof(h.devminor), 0);
    put_octal(h.size, sizeof(h.size), size <= SIZE_MAX_USTAR ? size : 0);
    put_octal(h.mtime, sizeof(h.mtime),
              mtime < 0 || (uint64_t)mtime > SIZE_MAX_USTAR ? 0 : (uint64_t)mtime);
    put_checksum(&h);
    return buf_add(out, str_n((const char *)&h, sizeof(h)));
}

static size_t digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10) {
        digits++;
    }
    return digits;
}

/* "LENGTH key=value\n", where the length counts its own digits. */
static void put_record(struct buf *b, const char *key, struct str value)
{
    size_t rest = 1 + strlen(key) + 1 + value.len + 1;
    size_t len = rest + digits_of(rest);

    len = rest + digits_of(len);
    (void)buf_printf(b, "%zu %s=", len, key);
    (void)buf_add(b, value);
    (void)buf_add(b, STR("\n"));
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] >= 0x80) {
            return false;
        }
    }
    return s.len <= 100;
}

static int64_t seconds_of(int64_t ns)
{
    return ns / 1000000000 - (ns % 1000000000 < 0);
}

/* Seconds and their decimals; a time before 1970 is the negative of both. */
static void put_time(struct buf *b, int64_t ns)
{
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    char text[48];
    int n = snprintf(text, sizeof(text), "%s%llu.%09llu", ns < 0 ? "-" : "",
                     (unsigned long long)(v / 1000000000), (unsigned long long)(v % 1000000000));

    put_record(b, "mtime", str_n(text, (size_t)n));
}

static void put_records(struct buf *b, const struct tar_entry *t, struct str name)
{
    if (!volume_is_utf8(name) || !volume_is_utf8(t->link)) {
        put_record(b, "hdrcharset", STR("BINARY"));
    }
    if (!is_plain(name)) {
        put_record(b, "path", name);
    }
    if (!is_plain(t->link)) {
        put_record(b, "linkpath", t->link);
    }
    if (t->size_bytes > SIZE_MAX_USTAR) {
        char text[24];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)t->size_bytes);

        put_record(b, "size", str_n(text, (size_t)n));
    }
    if (t->modified_ns < 0 || t->modified_ns % 1000000000 != 0 ||
        (uint64_t)seconds_of(t->modified_ns) > SIZE_MAX_USTAR) {
        put_time(b, t->modified_ns);
    }
}

static int pad(struct buf *out, size_t n)
{
    static const char zeros[2 * TAR_BLOCK];

    return buf_add(out, str_n(zeros, n));
}

int tar_head(struct buf *out, const struct tar_entry *t)
{
    static const char types[] = {[TAR_FILE] = '0', [TAR_DIR] = '5', [TAR_LINK] = '2'};
    struct buf records = BUF_MAX(64 * KIB), name = BUF_MAX(2 * LIMIT_VOLUME_PATH_BYTES);

    (void)buf_add(&name, t->name);
    if (t->kind == TAR_DIR) {
        (void)buf_add(&name, STR("/"));
    }
    put_records(&records, t, buf_str(&name));
    if (records.len > 0 &&
        put_ustar(out, 'x', STR("PaxHeader"), STR_EMPTY, 0644, records.len, 0) == 0) {
        (void)buf_add(out, buf_str(&records));
        (void)pad(out, tar_padding(records.len));
    }
    (void)put_ustar(out, types[t->kind], buf_str(&name), t->link, t->mode & 01777, t->size_bytes,
                    seconds_of(t->modified_ns));
    out->failed = out->failed || records.failed || name.failed;
    buf_done(&records);
    buf_done(&name);
    return out->failed ? -1 : 0;
}

size_t tar_padding(uint64_t size_bytes)
{
    return (TAR_BLOCK - size_bytes % TAR_BLOCK) % TAR_BLOCK;
}

int tar_end(struct buf *out)
{
    return pad(out, 2 * TAR_BLOCK);
}
