#include "helper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void wire_put_u64(struct buf *b, uint64_t v)
{
    char bytes[8];

    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)(v >> (8 * i));
    }
    (void)buf_add(b, str_n(bytes, sizeof(bytes)));
}

void wire_put_str(struct buf *b, struct str s)
{
    char bytes[4];

    if (s.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    for (int i = 0; i < 4; i++) {
        bytes[i] = (char)(s.len >> (8 * i));
    }
    (void)buf_add(b, str_n(bytes, sizeof(bytes)));
    (void)buf_add(b, s);
}

static uint64_t get_le(struct wire_reader *r, size_t n)
{
    uint64_t v = 0;

    if (r->failed || r->rest.len < n) {
        r->failed = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)(unsigned char)r->rest.p[i] << (8 * i);
    }
    r->rest = str_from(r->rest, n);
    return v;
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    return get_le(r, 8);
}

struct str wire_get_str(struct wire_reader *r)
{
    size_t n = (size_t)get_le(r, 4);
    struct str out;

    if (r->failed || r->rest.len < n) {
        r->failed = true;
        return STR_EMPTY;
    }
    out = str_first(r->rest, n);
    r->rest = str_from(r->rest, n);
    return out;
}

void wire_get_name(struct wire_reader *r, char *out, size_t out_size)
{
    struct str s = wire_get_str(r);

    out[0] = '\0';
    if (!r->failed && str_copy(s, out, out_size) < 0) {
        out[0] = '\0';
        r->failed = true;
    }
}

int wire_end(const struct wire_reader *r, struct err *e)
{
    if (r->failed) {
        return err_set(e, ERR_INVALID, "message is cut short or a field is too long");
    }
    if (r->rest.len > 0) {
        return err_set(e, ERR_INVALID, "message has %zu bytes too many", r->rest.len);
    }
    return 0;
}

bool helper_id_ok(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') {
            return false;
        }
    }
    return id.len > 0 && id.len <= 64;
}

int helper_fd_check(int fd, struct err *e)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fstat(fd, &st) < 0) {
        return err_set(e, ERR_INVALID, "the message needs a descriptor and has none");
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(e, ERR_INVALID, "the descriptor is not a regular file");
    }
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH)) {
        return err_set(e, ERR_INVALID, "the descriptor is not opened read-only");
    }
    return 0;
}
