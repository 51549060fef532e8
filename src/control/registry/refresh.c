#include "refresh.h"

#include "base/hash.h"
#include "base/limits.h"
#include "jwt.h"

#include <openssl/evp.h>
#include <string.h>

enum { NONCE = 12, TAG = 16, KEY = 32, SEALED_MAX = NONCE + LIMIT_PASSWORD_BYTES + TAG };

enum direction { OPENING, SEALING };

static EVP_CIPHER_CTX *begin(const struct jwt_key *k, const unsigned char *nonce, struct str user,
                             enum direction d)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char key[KEY];
    int n;

    jwt_key_derive(k, "refresh tokens", key);
    if (ctx == NULL ||
        EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, d == SEALING) != 1 ||
        EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)user.p, (int)user.len) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    explicit_bzero(key, sizeof(key));
    return ctx;
}

int refresh_seal(const struct jwt_key *k, struct str user, struct str password, struct buf *out,
                 struct err *e)
{
    unsigned char sealed[SEALED_MAX];
    EVP_CIPHER_CTX *ctx;
    int n = 0, rest = 0, ok;
    size_t len;

    if (password.len > LIMIT_PASSWORD_BYTES) {
        return err_set(e, ERR_INVALID, "the password is too long");
    }
    random_bytes(sealed, NONCE);
    ctx = begin(k, sealed, user, SEALING);
    ok = ctx != NULL &&
         EVP_CipherUpdate(ctx, sealed + NONCE, &n, (const unsigned char *)password.p,
                          (int)password.len) == 1 &&
         EVP_CipherFinal_ex(ctx, sealed + NONCE + n, &rest) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, sealed + NONCE + n + rest) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        return err_set(e, ERR_INTERNAL, "sealing a refresh token failed");
    }
    len = (size_t)n + (size_t)rest + NONCE + TAG;
    return base64url_add(out, str_n((const char *)sealed, len));
}

int refresh_open(const struct jwt_key *k, struct arena *a, struct str user, struct str sealed,
                 struct str *password, struct err *e)
{
    struct buf raw = BUF_MAX(SEALED_MAX);
    EVP_CIPHER_CTX *ctx = NULL;
    char *plain = arena_alloc(a, SEALED_MAX);
    int n = 0, rest = 0, len, ok = 0;

    if (base64url_decode(sealed, &raw) == 0 && raw.len >= NONCE + TAG) {
        const unsigned char *p = (const unsigned char *)raw.p;

        len = (int)raw.len - NONCE - TAG;
        ctx = begin(k, p, user, OPENING);
        ok = ctx != NULL &&
             EVP_CipherUpdate(ctx, (unsigned char *)plain, &n, p + NONCE, len) == 1 &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, raw.p + NONCE + len) == 1 &&
             EVP_CipherFinal_ex(ctx, (unsigned char *)plain + n, &rest) == 1;
    }
    EVP_CIPHER_CTX_free(ctx);
    buf_done(&raw);
    if (!ok) {
        return err_set(e, ERR_UNAUTHENTICATED, "refresh token: not one of ours; sign in again");
    }
    *password = str_n(plain, (size_t)n + (size_t)rest);
    return 0;
}
