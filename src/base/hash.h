/* hash - SHA-256 and HMAC (OpenSSL EVP), randomness, hex and base64url, constant-time comparison.
 */
#pragma once
#include "base/buf.h"

#define SHA256_BYTES 32
#define SHA256_HEX 64 /* without the NUL */

/* Streaming. In place, no allocation of ours; sha256_done is needed on every path. */
struct sha256 {
    void *ctx;
};
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *p, size_t len);
void sha256_final(struct sha256 *h, unsigned char out[SHA256_BYTES]);
void sha256_done(struct sha256 *h);

void sha256_of(struct str s, unsigned char out[SHA256_BYTES]);
void sha256_hex_of(struct str s, char out[SHA256_HEX + 1]);
void hmac_sha256(struct str key, struct str data, unsigned char out[SHA256_BYTES]);

/* From getrandom(2); ends the process when the kernel gives none. */
void random_bytes(void *out, size_t len);
/* `len` lower-case letters and digits (5 bits each) and a NUL: ids, generated passwords. */
void random_name(char *out, size_t len);

void hex_encode(const void *p, size_t len, char *out);              /* 2 x len + NUL */
int hex_decode(struct str hex, void *out, size_t out_len) MUST_USE; /* lower case only, exact */

/* RFC 4648 section 5, no padding. */
int base64url_add(struct buf *b, struct str bytes);
int base64url_decode(struct str text, struct buf *out) MUST_USE;
/* RFC 4648 section 4 with padding: Authorization: Basic. */
int base64_decode(struct str text, struct buf *out) MUST_USE;
int base64_add(struct buf *b, struct str bytes);

/* Time does not depend on where the bytes differ. */
bool secret_eq(struct str a, struct str b);
