#include "base/hash.h"

#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* EVP_sha256() looks the algorithm up at every init; a fetched one is used as it is. */
static EVP_MD *sha256_md;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static void fetch_md(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256_md == NULL) {
        abort(); /* an OpenSSL without SHA-256 */
    }
}

void sha256_init(struct sha256 *h)
{
    (void)pthread_once(&fetch_once, fetch_md);
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, sha256_md, NULL) != 1) {
        abort(); /* out of memory */
    }
}

void sha256_add(struct sha256 *h, const void *p, size_t len)
{
    (void)EVP_DigestUpdate(h->ctx, p, len);
}

void sha256_final(struct sha256 *h, unsigned char out[SHA256_BYTES])
{
    unsigned n = 0;

    (void)EVP_DigestFinal_ex(h->ctx, out, &n);
}

void sha256_done(struct sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void sha256_of(struct str s, unsigned char out[SHA256_BYTES])
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, s.p, s.len);
    sha256_final(&h, out);
    sha256_done(&h);
}

void sha256_hex_of(struct str s, char out[SHA256_HEX + 1])
{
    unsigned char bytes[SHA256_BYTES];

    sha256_of(s, bytes);
    hex_encode(bytes, sizeof(bytes), out);
}

void hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_BYTES])
{
    unsigned n = SHA256_BYTES;

    (void)HMAC(EVP_sha256(), key.p, (int)key.len, (const unsigned char *)data.p, data.len, out, &n);
}

void random_bytes(void *out, size_t len)
{
    unsigned char *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n <= 0) {
            abort(); /* a kernel older than 3.17 */
        }
        p += n;
        len -= (size_t)n;
    }
}

void random_name(char *out, size_t len)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32: no l, o, 0, 1 */

    random_bytes(out, len);
    for (size_t i = 0; i < len; i++) {
        out[i] = letters[(unsigned char)out[i] & 31];
    }
    out[len] = '\0';
}

void hex_encode(const void *p, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = p;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(struct str hex, void *out, size_t out_len)
{
    unsigned char *bytes = out;

    if (hex.len != 2 * out_len) {
        return -1;
    }
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_value(hex.p[2 * i]), low = hex_value(hex.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return -1;
        }
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode(struct buf *b, struct str bytes, const char *alphabet, char pad)
{
    const unsigned char *p = (const unsigned char *)bytes.p;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        unsigned v = (unsigned)p[i] << 16 | (n > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (n > 2 ? (unsigned)p[i + 2] : 0);
        char out[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                       n > 1 ? alphabet[v >> 6 & 63] : pad, n > 2 ? alphabet[v & 63] : pad};

        buf_add(b, str_n(out, pad ? 4 : n + 1));
    }
    return b->failed ? -1 : 0;
}

static int decode(struct str text, const char *alphabet, struct buf *out)
{
    unsigned v = 0, bits = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
        char byte;

        if (at == NULL) {
            return -1;
        }
        v = (v << 6 | (unsigned)(at - alphabet)) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            byte = (char)(v >> bits);
            buf_add(out, str_n(&byte, 1));
        }
    }
    /* A last symbol that carries no byte, or left-over bits that are not zero, is no base64. */
    return bits >= 6 || (v & ((1U << bits) - 1)) != 0 || out->failed ? -1 : 0;
}

int base64url_add(struct buf *b, struct str bytes)
{
    return encode(b, bytes, alphabet_url, '\0');
}

int base64_add(struct buf *b, struct str bytes)
{
    return encode(b, bytes, alphabet_std, '=');
}

int base64url_decode(struct str text, struct buf *out)
{
    return decode(text, alphabet_url, out);
}

int base64_decode(struct str text, struct buf *out)
{
    if (text.len % 4 != 0) {
        return -1;
    }
    for (int i = 0; i < 2 && text.len > 0 && text.p[text.len - 1] == '='; i++) {
        text.len--;
    }
    return decode(text, alphabet_std, out);
}

bool secret_eq(struct str a, struct str b)
{
    return a.len == b.len && CRYPTO_memcmp(a.p, b.p, a.len) == 0;
}
