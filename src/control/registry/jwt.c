#include "jwt.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_BYTES = 64, CLOCK_SLACK_SEC = 60, ACCESS_MAX = 64 };

struct jwt_key {
    EVP_PKEY *pkey;
    char kid[JWT_KID_MAX];
    unsigned char secret[SHA256_BYTES];
};

void jwt_key_free(struct jwt_key *k)
{
    if (k != NULL) {
        EVP_PKEY_free(k->pkey);
        explicit_bzero(k->secret, sizeof(k->secret));
        free(k);
    }
}

const char *jwt_key_id(const struct jwt_key *k)
{
    return k->kid;
}

void jwt_key_derive(const struct jwt_key *k, const char *label, unsigned char out[32])
{
    hmac_sha256(str_n((const char *)k->secret, sizeof(k->secret)), str_of(label), out);
}

/* libtrust: base32 of the first 30 bytes of SHA-256 over the DER public key, in groups of 4. */
static int name_key(struct jwt_key *k, struct err *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char *der = NULL, sum[SHA256_BYTES];
    int len = i2d_PUBKEY(k->pkey, &der);
    char *at = k->kid;

    if (len <= 0) {
        return err_set(e, ERR_INVALID, "the key has no public part");
    }
    sha256_of(str_n((const char *)der, (size_t)len), sum);
    OPENSSL_free(der);
    for (unsigned i = 0; i < 48; i++) {
        unsigned bit = i * 5, pair = (unsigned)sum[bit / 8] << 8 | sum[bit / 8 + 1];

        if (i > 0 && i % 4 == 0) {
            *at++ = ':';
        }
        *at++ = letters[pair >> (11 - bit % 8) & 31];
    }
    *at = '\0';
    return 0;
}

static int derive_secret(struct jwt_key *k, struct err *e)
{
    unsigned char *der = NULL;
    int len = i2d_PrivateKey(k->pkey, &der);

    if (len <= 0) {
        return err_set(e, ERR_INVALID, "the key has no private part");
    }
    sha256_of(str_n((const char *)der, (size_t)len), k->secret);
    OPENSSL_clear_free(der, (size_t)len);
    return 0;
}

static int make_key(const char *path, struct err *e)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    BIO *mem = BIO_new(BIO_s_mem());
    char *pem = NULL;
    long len;
    int r;

    if (pkey == NULL || mem == NULL ||
        PEM_write_bio_PrivateKey(mem, pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        r = err_set(e, ERR_INTERNAL, "OpenSSL made no P-256 key");
    } else {
        len = BIO_get_mem_data(mem, &pem);
        r = fs_write_atomic(AT_FDCWD, path, str_n(pem, (size_t)len), 0600, e);
        OPENSSL_cleanse(pem, (size_t)len);
    }
    BIO_free(mem);
    EVP_PKEY_free(pkey);
    return r;
}

static int load_key(struct jwt_key *k, const char *path, struct err *e)
{
    struct buf pem = BUF_MAX(65536);
    char group[32] = "";
    BIO *mem;
    int r = fs_read(AT_FDCWD, path, &pem, e);

    if (r == 0) {
        mem = BIO_new_mem_buf(pem.p, (int)pem.len);
        k->pkey = mem ? PEM_read_bio_PrivateKey(mem, NULL, NULL, NULL) : NULL;
        BIO_free(mem);
        OPENSSL_cleanse(pem.p, pem.len);
        ERR_clear_error();
        if (k->pkey == NULL || EVP_PKEY_get_group_name(k->pkey, group, sizeof(group), NULL) != 1 ||
            strcmp(group, "prime256v1") != 0) {
            r = err_set(e, ERR_INVALID,
                        "%s holds no P-256 private key: remove it, and a new one is made (clients "
                        "then sign in again)",
                        path);
        }
    }
    buf_done(&pem);
    return r;
}

struct jwt_key *jwt_key_open(const char *path, struct err *e)
{
    SCOPED(jwt_key_freep) struct jwt_key *k = xnew(struct jwt_key);
    struct stat st;

    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT) {
            err_sys(e, "%s", path);
            return NULL;
        }
        if (make_key(path, e) < 0) {
            return NULL;
        }
    }
    if (load_key(k, path, e) < 0 || name_key(k, e) < 0 || derive_secret(k, e) < 0) {
        return NULL;
    }
    return TAKE(k);
}

/* DER SEQUENCE{r, s} -> 32 + 32 bytes, RFC 7518 3.4. */
static int raw_signature(const unsigned char *der, size_t len, unsigned char out[SIGNATURE_BYTES])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
    int ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;

    ECDSA_SIG_free(sig);
    return ok ? 0 : -1;
}

static int sign_text(const struct jwt_key *k, struct str text, unsigned char out[SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char der[128];
    size_t len = sizeof(der);
    int ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
             EVP_DigestSign(ctx, der, &len, (const unsigned char *)text.p, text.len) == 1 &&
             raw_signature(der, len, out) == 0;

    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -1;
}

static int verify_text(const struct jwt_key *k, struct str text, struct str raw)
{
    const unsigned char *p = (const unsigned char *)raw.p;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, 32, NULL), *s = BN_bin2bn(p + 32, 32, NULL);
    unsigned char *der = NULL;
    int len = 0, ok = 0;

    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* owned by sig */
        len = i2d_ECDSA_SIG(sig, &der);
    }
    if (ctx != NULL && len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->pkey)) {
        ok = EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)text.p, text.len) == 1;
    }
    ERR_clear_error();
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -1;
}

static void write_actions(struct jw *w, unsigned actions)
{
    static const char *const names[] = {"pull", "push", "delete"};

    jw_key(w, "actions");
    jw_array(w);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (actions & 1U << i) {
            jw_str(w, str_of(names[i]));
        }
    }
    jw_end(w);
}

static void write_claims(const struct jwt_claims *c, struct buf *out)
{
    struct jw w = JW(out);
    char jti[25];

    random_name(jti, 24);
    jw_object(&w);
    jw_kv_c(&w, "iss", "strata");
    jw_kv_str(&w, "sub", c->user_name);
    jw_kv_str(&w, "aud", c->audience);
    jw_kv_i64(&w, "iat", c->issued_sec);
    jw_kv_i64(&w, "nbf", c->issued_sec);
    jw_kv_i64(&w, "exp", c->expires_sec);
    jw_kv_c(&w, "jti", jti);
    jw_kv_i64(&w, "uid", c->user_id);
    if (c->token_id != 0) {
        jw_kv_i64(&w, "tid", c->token_id);
    }
    jw_kv_i64(&w, "gen", c->generation);
    if (c->sealed.len > 0) {
        jw_kv_str(&w, "sealed", c->sealed);
    }
    jw_key(&w, "access");
    jw_array(&w);
    for (size_t i = 0; i < c->n_access; i++) {
        jw_object(&w);
        jw_kv_str(&w, "type", c->access[i].type);
        jw_kv_str(&w, "name", c->access[i].name);
        if (str_eq_c(c->access[i].type, "registry")) {
            jw_key(&w, "actions");
            jw_raw(&w, STR("[\"*\"]"));
        } else {
            write_actions(&w, c->access[i].actions);
        }
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
}

int jwt_sign(const struct jwt_key *k, const struct jwt_claims *c, struct buf *out, struct err *e)
{
    struct buf header = BUF_MAX(256), claims = BUF_MAX(JWT_BYTES_MAX);
    unsigned char sig[SIGNATURE_BYTES];
    size_t start = out->len;
    int r = -1;

    (void)buf_printf(&header, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"%s\"}", k->kid);
    write_claims(c, &claims);
    (void)base64url_add(out, buf_str(&header));
    (void)buf_add(out, STR("."));
    (void)base64url_add(out, buf_str(&claims));
    if (claims.failed) {
        err_set(e, ERR_LIMIT, "too many scopes for one token");
    } else if (out->failed || sign_text(k, str_from(buf_str(out), start), sig) < 0) {
        err_set(e, ERR_INTERNAL, "signing a token failed");
    } else {
        (void)buf_add(out, STR("."));
        (void)base64url_add(out, str_n((const char *)sig, sizeof(sig)));
        r = out->failed ? err_set(e, ERR_INTERNAL, "a token is too long") : 0;
    }
    buf_done(&header);
    buf_done(&claims);
    return r;
}

static int refuse(struct err *e, const char *why)
{
    return err_set(e, ERR_UNAUTHENTICATED, "registry token: %s; sign in again", why);
}

static int decode_part(struct arena *a, struct str text, struct str *out)
{
    struct buf b = BUF_MAX(JWT_BYTES_MAX);
    int r = base64url_decode(text, &b);

    *out = arena_str(a, buf_str(&b));
    buf_done(&b);
    return r;
}

int jwt_split(struct arena *a, struct str token, struct jwt_parts *out, struct err *e)
{
    struct str rest = token, header, payload;

    if (token.len > JWT_BYTES_MAX) {
        return refuse(e, "too long");
    }
    header = str_cut(&rest, '.');
    payload = rest.p ? str_cut(&rest, '.') : (struct str){0};
    if (rest.p == NULL || str_find_char(rest, '.') >= 0 || header.len == 0 || payload.len == 0) {
        return refuse(e, "not of the form header.payload.signature");
    }
    if (decode_part(a, header, &out->header) < 0 || decode_part(a, payload, &out->payload) < 0 ||
        decode_part(a, rest, &out->signature) < 0 || out->signature.len != SIGNATURE_BYTES) {
        return refuse(e, "broken encoding");
    }
    out->signed_text = str_first(token, header.len + 1 + payload.len);
    return 0;
}

int jwt_header_check(struct str header, const char *kid, struct err *e)
{
    SCOPED(json_decrefp) json_t *j = json_parse(header, e);
    struct str alg = STR_EMPTY, have_kid = STR_EMPTY;
    struct err ignored;

    if (j == NULL || !json_is_object(j) || json_get_str(j, "alg", &alg, &ignored) < 0 ||
        json_get_str(j, "kid", &have_kid, &ignored) < 0 || json_object_get(j, "crit") != NULL) {
        return refuse(e, "broken header");
    }
    if (!str_eq_c(alg, "ES256") || !str_eq_c(have_kid, kid)) {
        return refuse(e, "not signed by this registry");
    }
    return 0;
}

static int parse_access(struct arena *a, const json_t *j, struct scope *out)
{
    struct str type = STR_EMPTY, name = STR_EMPTY;
    const json_t *actions = json_object_get(j, "actions");
    struct err ignored;

    if (!json_is_object(j) || json_get_str(j, "type", &type, &ignored) < 0 ||
        json_get_str(j, "name", &name, &ignored) < 0) {
        return -1;
    }
    *out = (struct scope){arena_str(a, type), arena_str(a, name), 0};
    for (size_t i = 0; i < json_array_size(actions); i++) {
        static const char *const names[] = {"pull", "push", "delete"};
        const char *action = json_string_value(json_array_get(actions, i));

        for (unsigned n = 0; action != NULL && n < ARRAY_LEN(names); n++) {
            out->actions |= strcmp(action, names[n]) == 0 ? 1U << n : 0;
        }
        out->actions |= action != NULL && strcmp(action, "*") == 0 ? SCOPE_ALL : 0;
    }
    return 0;
}

int jwt_claims_parse(struct arena *a, struct str payload, struct jwt_claims *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *j = json_parse(payload, e);
    const json_t *access = json_object_get(j, "access");
    struct jwt_claims c = {0};
    struct str issuer = STR_EMPTY;
    struct err ignored;

    if (j == NULL || !json_is_object(j) || json_get_str(j, "aud", &c.audience, &ignored) < 0 ||
        json_get_str(j, "sub", &c.user_name, &ignored) < 0 ||
        json_get_str(j, "iss", &issuer, &ignored) < 0 ||
        json_get_str(j, "sealed", &c.sealed, &ignored) < 0 ||
        json_get_i64(j, "uid", &c.user_id, &ignored) < 0 ||
        json_get_i64(j, "tid", &c.token_id, &ignored) < 0 ||
        json_get_i64(j, "gen", &c.generation, &ignored) < 0 ||
        json_get_i64(j, "iat", &c.issued_sec, &ignored) < 0 ||
        json_get_i64(j, "exp", &c.expires_sec, &ignored) < 0 || !str_eq_c(issuer, "strata") ||
        json_array_size(access) > ACCESS_MAX) {
        return refuse(e, "broken claims");
    }
    c.audience = arena_str(a, c.audience);
    c.user_name = arena_str(a, c.user_name);
    c.sealed = arena_str(a, c.sealed);
    c.access = arena_new_array(a, struct scope, ACCESS_MAX);
    for (size_t i = 0; i < json_array_size(access); i++) {
        if (parse_access(a, json_array_get(access, i), &c.access[c.n_access++]) < 0) {
            return refuse(e, "broken access list");
        }
    }
    *out = c;
    return 0;
}

int jwt_verify(const struct jwt_key *k, struct arena *a, struct str token, const char *audience,
               struct jwt_claims *out, struct err *e)
{
    int64_t now_sec = clock_wall_ms() / 1000;
    struct jwt_parts parts = {0};
    struct jwt_claims c = {0};

    if (jwt_split(a, token, &parts, e) < 0 || jwt_header_check(parts.header, k->kid, e) < 0) {
        return -1;
    }
    if (verify_text(k, parts.signed_text, parts.signature) < 0) {
        return refuse(e, "the signature is wrong");
    }
    if (jwt_claims_parse(a, parts.payload, &c, e) < 0) {
        return -1;
    }
    if (!str_eq_c(c.audience, audience)) {
        return refuse(e, "made for another use");
    }
    if (c.expires_sec <= now_sec) {
        return refuse(e, "expired");
    }
    if (c.issued_sec > now_sec + CLOCK_SLACK_SEC) {
        return refuse(e, "not valid yet");
    }
    *out = c;
    return 0;
}
