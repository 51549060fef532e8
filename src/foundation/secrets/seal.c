#include "secrets_priv.h"

#include <openssl/evp.h>
#include <string.h>

static void free_ctx(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
}

static const unsigned char *bytes(struct str s)
{
    return (const unsigned char *)s.p;
}

static int err_crypto(struct err *e)
{
    return err_set(e, ERR_INTERNAL, "AES-256-GCM does not work in this libcrypto");
}

int secrets_seal(const unsigned char key[KEY_BYTES], const unsigned char nonce[NONCE_BYTES],
                 struct str aad, struct str plain, struct buf *sealed, struct err *e)
{
    SCOPED(free_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char *out = (unsigned char *)buf_reserve(sealed, plain.len + TAG_BYTES);
    int n = 0, total = 0;

    if (out == NULL) {
        return err_set(e, ERR_LIMIT, "a secret holds at most %zu bytes", sealed->max - TAG_BYTES);
    }
    if (ctx == NULL || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
        EVP_EncryptUpdate(ctx, NULL, &n, bytes(aad), (int)aad.len) != 1 ||
        EVP_EncryptUpdate(ctx, out, &total, bytes(plain), (int)plain.len) != 1 ||
        EVP_EncryptFinal_ex(ctx, out + total, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + plain.len) != 1) {
        return err_crypto(e);
    }
    sealed->len += plain.len + TAG_BYTES;
    return 0;
}

int secrets_unseal(const unsigned char key[KEY_BYTES], const unsigned char nonce[NONCE_BYTES],
                   struct str aad, struct str sealed, struct buf *plain, struct err *e)
{
    SCOPED(free_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t len = sealed.len < TAG_BYTES ? 0 : sealed.len - TAG_BYTES;
    unsigned char *out = (unsigned char *)buf_reserve(plain, len);
    unsigned char tag[TAG_BYTES];
    int n = 0, total = 0;

    if (out == NULL || sealed.len < TAG_BYTES) {
        return err_set(e, ERR_IO, "the sealed value has an impossible length");
    }
    memcpy(tag, sealed.p + len, TAG_BYTES);
    if (ctx == NULL || EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
        EVP_DecryptUpdate(ctx, NULL, &n, bytes(aad), (int)aad.len) != 1 ||
        EVP_DecryptUpdate(ctx, out, &total, bytes(sealed), (int)len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) != 1) {
        return err_crypto(e);
    }
    if (EVP_DecryptFinal_ex(ctx, out + total, &n) != 1) {
        explicit_bzero(out, len);
        return err_set(e, ERR_IO,
                       "the value was altered, or sealed under another key: restore secrets.key "
                       "from the backup, or set the secret again");
    }
    plain->len += len;
    plain->p[plain->len] = '\0';
    return 0;
}
