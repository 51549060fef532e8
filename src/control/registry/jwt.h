/* jwt - JSON Web Tokens of the token service: ES256 only, our own key only.
 * Sources: RFC 7515 (compact form), RFC 7518 3.4 (raw r || s), Docker token authentication (claims,
 * key id). */
#pragma once
#include "base/arena.h"
#include "names.h"

#define JWT_AUDIENCE "strata"                 /* for /v2/; also the service of the challenge */
#define JWT_AUDIENCE_REFRESH "strata-refresh" /* only for /service/token */
#define JWT_BYTES_MAX 16384
#define JWT_KID_MAX 60 /* 12 groups of 4, 11 colons, NUL */

struct jwt_key;

/* Reads the key (PEM), or makes it with mode 0600. */
struct jwt_key *jwt_key_open(const char *path, struct err *e) MUST_USE;
void jwt_key_free(struct jwt_key *k);
DEFINE_SCOPED(struct jwt_key, jwt_key_free)
const char *jwt_key_id(const struct jwt_key *k);
/* 32 bytes that only we know, for other uses named by `label`. */
void jwt_key_derive(const struct jwt_key *k, const char *label, unsigned char out[32]);

struct jwt_claims {
    struct str audience;
    struct str user_name; /* "" is anonymous */
    int64_t user_id;      /* 0 is anonymous */
    int64_t token_id;     /* the personal token it was made with; 0: none */
    int64_t generation;   /* of the password it was made with, when there is no such token */
    int64_t issued_sec, expires_sec;
    struct str sealed; /* of a refresh token: refresh.h */
    struct scope *access;
    size_t n_access;
};

/* Appends the compact form. */
int jwt_sign(const struct jwt_key *k, const struct jwt_claims *c, struct buf *out,
             struct err *e) MUST_USE;
/* Checks form, algorithm, key, signature, times and audience. ERR_UNAUTHENTICATED. */
int jwt_verify(const struct jwt_key *k, struct arena *a, struct str token, const char *audience,
               struct jwt_claims *out, struct err *e) MUST_USE;

/* The parts that read what others wrote; jwt_verify is made of them. */
struct jwt_parts {
    struct str header, payload; /* decoded, in the arena */
    struct str signature;       /* decoded: 64 bytes */
    struct str signed_text;     /* header.payload as sent */
};
int jwt_split(struct arena *a, struct str token, struct jwt_parts *out, struct err *e) MUST_USE;
int jwt_header_check(struct str header, const char *kid, struct err *e) MUST_USE;
int jwt_claims_parse(struct arena *a, struct str payload, struct jwt_claims *out,
                     struct err *e) MUST_USE;
