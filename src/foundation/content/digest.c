#include "content_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t hex_len;
    const EVP_MD *(*md)(void);
} algorithms[] = {
    {"sha256", 64, EVP_sha256},
    {"sha512", 128, EVP_sha512},
};

/* Row of the algorithm whose name stands before the colon, or -1. */
static int algorithm_of(struct str s)
{
    ptrdiff_t colon = str_find_char(s, ':');

    for (size_t i = 0; colon > 0 && i < ARRAY_LEN(algorithms); i++) {
        if (str_eq_c(str_first(s, (size_t)colon), algorithms[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

int content_digest_parse(struct str s, char out[CONTENT_DIGEST_MAX], struct err *e)
{
    int alg = algorithm_of(s);
    size_t start;

    if (alg < 0) {
        return err_set(e, ERR_INVALID, "digest %s: expected sha256:<64 hex> or sha512:<128 hex>",
                       s.len > 0 ? "has an unknown algorithm" : "is empty");
    }
    start = strlen(algorithms[alg].name) + 1;
    for (size_t i = start; i < s.len; i++) {
        if (!is_hex(s.p[i])) {
            return err_set(e, ERR_INVALID,
                           "digest: position %zu is no lower-case hexadecimal digit", i + 1);
        }
    }
    if (s.len != start + algorithms[alg].hex_len) {
        return err_set(e, ERR_INVALID, "digest: %s takes %zu hexadecimal digits, got %zu",
                       algorithms[alg].name, algorithms[alg].hex_len, s.len - start);
    }
    return str_copy(s, out, CONTENT_DIGEST_MAX);
}

/* Feeds the file from its beginning. */
static int feed_file(EVP_MD_CTX *ctx, int fd, const _Atomic bool *stop, struct err *e)
{
    SCOPED(freep) char *chunk = xcalloc(1, COPY_BYTES);
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(fd, chunk, COPY_BYTES, at);

        if (stop != NULL && atomic_load(stop)) {
            return err_set(e, ERR_UNAVAILABLE, "stopped before the end of a file");
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_sys(e, "read of a file of the store");
        }
        if (n == 0) {
            return 0;
        }
        (void)EVP_DigestUpdate(ctx, chunk, (size_t)n);
        at += n;
    }
}

int content_file_digest(int fd, const char *want, const _Atomic bool *stop,
                        char out[CONTENT_DIGEST_MAX], struct err *e)
{
    int alg = algorithm_of(str_of(want));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t prefix;
    int r;

    if (alg < 0 || ctx == NULL || EVP_DigestInit_ex(ctx, algorithms[alg].md(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        return err_set(e, ERR_INTERNAL, "no hash for %.80s", want);
    }
    r = feed_file(ctx, fd, stop, e);
    (void)EVP_DigestFinal_ex(ctx, sum, &len);
    EVP_MD_CTX_free(ctx);
    if (r < 0) {
        return -1;
    }
    prefix = strlen(algorithms[alg].name);
    memcpy(out, algorithms[alg].name, prefix);
    out[prefix] = ':';
    hex_encode(sum, len, out + prefix + 1);
    return 0;
}

int content_digest_of(struct str bytes, struct str algorithm, char out[CONTENT_DIGEST_MAX],
                      struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        if (str_eq_c(algorithm, algorithms[i].name)) {
            unsigned char sum[EVP_MAX_MD_SIZE];
            unsigned len = 0;

            if (EVP_Digest(bytes.p, bytes.len, sum, &len, algorithms[i].md(), NULL) != 1) {
                return err_set(e, ERR_INTERNAL, "%s failed", algorithms[i].name);
            }
            memcpy(out, algorithm.p, algorithm.len);
            out[algorithm.len] = ':';
            hex_encode(sum, len, out + algorithm.len + 1);
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "unknown digest algorithm: use sha256 or sha512");
}
