#include "imports/sigv4.h"

#include "base/hash.h"
#include "base/limits.h"

#include <string.h>

#define SIGNED_HEADERS "host;x-amz-content-sha256;x-amz-date"

void sigv4_encode(struct str s, enum sigv4_slash slash, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_' || c == '~' ||
                    (c == '/' && slash == SIGV4_SLASH_KEPT);

        if (kept) {
            (void)buf_add(out, str_n(&s.p[i], 1));
        } else {
            (void)buf_printf(out, "%%%02X", c);
        }
    }
}

static struct str mac_str(const unsigned char mac[SHA256_BYTES])
{
    return str_n((const char *)mac, SHA256_BYTES);
}

/* The key of a day, region and service. */
static void day_key(const struct sigv4 *s, unsigned char out[SHA256_BYTES])
{
    struct buf first = BUF_MAX(LIMIT_SECRET_BYTES + 16);

    (void)buf_add_c(&first, "AWS4");
    (void)buf_add(&first, s->secret);
    hmac_sha256(buf_str(&first), str_first(str_of(s->date), 8), out);
    if (first.p) {
        explicit_bzero(first.p, first.cap);
    }
    buf_done(&first);
    hmac_sha256(mac_str(out), str_of(s->region), out);
    hmac_sha256(mac_str(out), STR("s3"), out);
    hmac_sha256(mac_str(out), STR("aws4_request"), out);
}

static void canonical_hash(const struct sigv4 *s, char hex[SHA256_HEX + 1])
{
    struct buf text = BUF_MAX(64 * KIB);

    (void)buf_printf(&text,
                     "GET\n%s\n%s\nhost:%s\nx-amz-content-sha256:" SIGV4_NO_BODY
                     "\nx-amz-date:%s\n\n" SIGNED_HEADERS "\n" SIGV4_NO_BODY,
                     s->path, s->query, s->host, s->date);
    sha256_hex_of(buf_str(&text), hex);
    buf_done(&text);
}

void sigv4_authorization(const struct sigv4 *s, struct buf *out)
{
    SCOPED(buf_done) struct buf text = BUF_MAX(4 * KIB);
    unsigned char key[SHA256_BYTES], mac[SHA256_BYTES];
    char hex[SHA256_HEX + 1];

    canonical_hash(s, hex);
    (void)buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s", s->date, s->date,
                     s->region, hex);
    day_key(s, key);
    hmac_sha256(mac_str(key), buf_str(&text), mac);
    explicit_bzero(key, sizeof(key));
    hex_encode(mac, sizeof(mac), hex);
    (void)buf_printf(out,
                     "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,"
                     "SignedHeaders=" SIGNED_HEADERS ",Signature=%s",
                     s->access_key, s->date, s->region, hex);
}
