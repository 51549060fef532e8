/* supply_priv - what the files of supply share. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "registry/artifacts.h"
#include "state/state.h"
#include "supply/rows.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct supply {
    struct state *state;
    struct access *access;
    struct registry *registry;
    struct content *content;
    const struct secrets *secrets;
    const struct cidr *denied;
    size_t n_denied;
    char *own_url;
    void *ctx; /* of `scanned` */
    int (*scanned)(void *ctx, struct state_db *db, const struct supply_scanned *x, struct err *e);
    pthread_t worker;
    bool has_worker;
    atomic_bool is_closing;
    struct lock lock;
    uint64_t looks;         /* raised when a scan was started; guarded by lock */
    int64_t step_id;        /* the manifest whose scan is asked about now; guarded by lock */
    atomic_bool step_stops; /* it is to be stopped */
    struct map verified;    /* see judge.c; guarded by lock, as generation */
    uint64_t generation;    /* of the keys of all projects */
};

static inline bool is_index(const struct artifact *of)
{
    return str_find(of->media_type, STR("index")) >= 0 ||
           str_find(of->media_type, STR("list")) >= 0;
}

/* --- accessory.c: what a manifest is that belongs to an image --- */

const char *accessory_name(enum accessory_kind k);

struct signed_layer {
    char digest[CONTENT_DIGEST_MAX];
    struct str signature; /* base64, of cosign; else empty */
};
struct accessory {
    enum accessory_kind kind;
    struct signed_layer *layers; /* of those that may be signatures that we verify */
    size_t n_layers;
};
/* Never fails: what is no manifest is ACCESSORY_OTHER. It has this kind only when all of its layers
 * do, so that no image passes as its own signature. */
void accessory_parse(struct arena *a, struct str artifact_type, struct str body,
                     struct accessory *out);

/* --- signature.c: what was signed --- */

/* Simple signing: is it about this manifest? `digest` "sha256:...". */
int payload_check(struct str payload, const char *digest, struct err *e) MUST_USE;
/* A sigstore bundle with a DSSE envelope. */
struct dsse {
    struct str signed_text; /* in the arena: the pre-authentication encoding, what is signed */
    struct str signature;   /* raw bytes */
};
int bundle_parse(struct arena *a, struct str bundle, const char *digest, struct dsse *out,
                 struct err *e) MUST_USE;

/* --- verify.c: OpenSSL --- */

EVP_PKEY *key_of_pem(struct str pem, struct err *e) MUST_USE;
const char *key_algorithm(const EVP_PKEY *key); /* "ECDSA P-256", ... or NULL: not taken */
/* Of its DER, hexadecimal. */
void key_fingerprint(EVP_PKEY *key, char out[65]);
/* `signature`: ECDSA as DER, RSA PKCS #1 v1.5, Ed25519. */
bool key_verifies(EVP_PKEY *key, struct str text, struct str signature);

/* --- keys.c --- */

struct trust_key {
    struct str name, pem;
};
struct trust_keys {
    struct trust_key *items;
    size_t n;
    uint64_t generation; /* from before they were read */
};
int keys_read(struct supply *s, struct arena *a, int64_t project_id, struct trust_keys *out,
              struct err *e) MUST_USE;
int key_add(struct supply *s, int64_t project_id, struct str name, struct str pem, struct str by,
            struct err *e) MUST_USE;
int key_drop(struct supply *s, int64_t project_id, struct str name, struct err *e) MUST_USE;
/* One (name.p != NULL) or all that fit, inside an open array; a single one bare. */
int keys_write(struct supply *s, int64_t project_id, struct str name, struct str q, struct jw *w,
               struct err *e) MUST_USE;

/* --- report.c: what scanners say --- */

struct finding {
    struct str id, package, version, fixed, link, title;
    enum severity severity;
};
struct report {
    const char *format; /* "sarif", "cyclonedx", "scanner" */
    struct str tool;
    struct finding *findings; /* the worst first */
    size_t n;
    int64_t counts[SEVERITIES];
};
/* Texts are views into `doc` or in the arena. */
int report_of_json(struct arena *a, const json_t *doc, struct report *out, struct err *e) MUST_USE;

/* --- policy.c --- */

int trust_policy_parse(struct arena *a, const json_t *body, struct trust_policy *out,
                       struct err *e) MUST_USE;
int trust_policy_save(struct supply *s, int64_t project_id, const struct trust_policy *p,
                      struct err *e) MUST_USE;
void trust_policy_write(const struct trust_policy *p, struct jw *w);

/* --- findings.c: a report is of a digest in a project, whatever its repositories call it --- */

int report_store(struct supply *s, const struct artifact *of, const struct report *r, struct str by,
                 struct err *e) MUST_USE;
/* null without one. */
int report_write(struct supply *s, const struct artifact *of, struct jw *w, struct err *e) MUST_USE;
struct finding_page {
    struct str q;
    enum severity at_least;
    int64_t after, limit, next; /* numbers of rows */
};
int findings_write(struct supply *s, const struct artifact *of, struct finding_page *p,
                   struct jw *w, struct err *e) MUST_USE;
/* 1: there is one; *worst is the first finding that counts, its id empty without. 0: no report. */
int findings_judge(struct supply *s, struct arena *a, const struct artifact *of,
                   const struct trust_policy *p, struct finding *worst, struct err *e) MUST_USE;

/* --- judge.c --- */

/* One look for who signed something, and what it may still cost. */
struct inspection {
    struct trust_keys keys;
    int layers;
    int64_t bytes, until_ms; /* monotonic */
    bool is_cut;             /* there is more than it may cost */
};
int inspection_begin(struct supply *s, struct arena *a, int64_t project_id, struct inspection *out,
                     struct err *e) MUST_USE;
/* The name of the key that verifies an accessory of `of`; empty: none does. */
void accessory_signer(struct supply *s, struct inspection *x, const struct artifact *of,
                      const struct artifact *about, const struct accessory *a, struct str *name,
                      struct arena *arena);
/* The same for an image, also by an index that lists it. */
int artifact_signer(struct supply *s, struct arena *a, const struct artifact *of,
                    struct inspection *x, struct str *name, struct err *e) MUST_USE;
enum judged { JUDGED_PULL, JUDGED_RUN };
/* ERR_FORBIDDEN with the sentence. */
int artifact_judge(struct supply *s, struct arena *a, const struct artifact *of,
                   const struct trust_policy *p, enum judged what, struct err *e) MUST_USE;
void judge_forget(struct supply *s); /* a key came or went */
uint64_t judge_generation(struct supply *s);
