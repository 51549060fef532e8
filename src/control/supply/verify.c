/* Public keys and signatures: OpenSSL, and which of its algorithms are taken. */
#include "supply_priv.h"

#include "base/hash.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192 };

static const char *ec_name(const EVP_PKEY *key)
{
    static const char *const curves[][2] = {{"prime256v1", "ECDSA P-256"},
                                            {"secp384r1", "ECDSA P-384"}};
    char group[32];

    if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (strcmp(group, curves[i][0]) == 0) {
            return curves[i][1];
        }
    }
    return NULL;
}

const char *key_algorithm(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
        return ec_name(key);
    case EVP_PKEY_RSA:
        return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN && EVP_PKEY_get_bits(key) <= RSA_BITS_MAX
                   ? "RSA"
                   : NULL;
    case EVP_PKEY_ED25519:
        return "Ed25519";
    default:
        return NULL;
    }
}

EVP_PKEY *key_of_pem(struct str pem, struct err *e)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    EVP_PKEY *key = NULL;

    if (str_find(pem, STR("PRIVATE KEY")) >= 0) {
        err_set(e, ERR_INVALID,
                "this is a private key: keep it to yourself, and give the public one (cosign.pub)");
    } else if (bio == NULL || (key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL)) == NULL) {
        err_set(e, ERR_INVALID, "pem: expected a public key: -----BEGIN PUBLIC KEY-----");
    } else if (key_algorithm(key) == NULL) {
        EVP_PKEY_free(key);
        key = NULL;
        err_set(e, ERR_INVALID,
                "this kind of key is not taken: ECDSA P-256 or P-384, RSA of 2048 to 8192 bits, or "
                "Ed25519");
    }
    ERR_clear_error();
    BIO_free(bio);
    return key;
}

void key_fingerprint(EVP_PKEY *key, char out[65])
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    sha256_hex_of(str_n((const char *)der, len > 0 ? (size_t)len : 0), out);
    OPENSSL_free(der);
}

static bool verifies_with(EVP_PKEY *key, const EVP_MD *md, struct str text, struct str signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.len,
                                 (const unsigned char *)text.p, text.len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* cosign hashes with SHA-256 whatever the key, newer ones as long as the curve. */
bool key_verifies(EVP_PKEY *key, struct str text, struct str signature)
{
    const char *algorithm = key_algorithm(key);

    if (algorithm == NULL) {
        return false;
    }
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
        return verifies_with(key, NULL, text, signature);
    }
    return verifies_with(key, EVP_sha256(), text, signature) ||
           (strcmp(algorithm, "ECDSA P-384") == 0 &&
            verifies_with(key, EVP_sha384(), text, signature));
}
