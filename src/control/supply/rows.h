/* rows - what a project asks of its images, scanners and scans: for our own API, and for modules
 * that speak that of somebody else over the same rows (harbor). The caller's permission was checked
 * by his route. Each is durable when it returns 0. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "registry/artifacts.h"
#include "supply/supply.h"

#include <stdatomic.h>

struct fetch_answer;
struct principal;

enum severity { SEV_UNKNOWN, SEV_LOW, SEV_MEDIUM, SEV_HIGH, SEV_CRITICAL, SEVERITIES };
const char *severity_name(enum severity s);
int severity_parse(struct str text, enum severity *out); /* ours, exactly; -1 */

/* --- policy.c --- */

enum need_signature { NEED_OFF, NEED_PULL, NEED_PULL_AND_RUN, NEEDS };
struct trust_policy {
    enum need_signature need;
    bool blocks; /* findings of `severity` or worse */
    enum severity severity;
    bool blocks_unscanned, scans_on_push;
    struct str *allowed; /* ids that do not count */
    size_t n_allowed;
    bool allowed_off; /* they are kept, and not in force */
};
/* The list of the system counts for a project that has none of its own, or not in force. */
bool trust_policy_lists(const struct trust_policy *p);
enum { TRUST_OF_SYSTEM = 0 /* a project_id whose `allowed` is that list */ };
int trust_policy_read(struct supply *s, struct arena *a, int64_t project_id,
                      struct trust_policy *out, struct err *e) MUST_USE;
/* As the rows keep it; empty: no rules. */
int trust_policy_of_text(struct arena *a, struct str text, struct trust_policy *out,
                         struct err *e) MUST_USE;
/* The same in a transaction. */
int trust_policy_load(struct state_db *db, struct arena *a, int64_t project_id,
                      struct trust_policy *out, struct err *e) MUST_USE;
/* Changes the rules in one transaction, which may be run again. */
typedef int trust_change(void *ctx, struct trust_policy *p, struct err *e);
int trust_policy_change(struct supply *s, struct arena *a, int64_t project_id, trust_change *change,
                        void *ctx, struct err *e) MUST_USE;

/* --- scanners.c --- */

struct scanner {
    const char *name, *url, *auth; /* in the arena; auth NULL: none */
};
int scanner_add(struct supply *s, struct str name, struct str url, struct str auth,
                struct err *e) MUST_USE;
/* `id` as the rows have it. auth.p == NULL: what it signs in with stays, as long as the server
 * does. */
int scanner_change(struct supply *s, int64_t id, struct str name, struct str url, struct str auth,
                   struct err *e) MUST_USE;
int scanner_drop(struct supply *s, struct str name, struct err *e) MUST_USE;
/* p == NULL: the one that was added first. ERR_NOT_FOUND. */
int scanner_get(struct supply *s, struct arena *a, struct str name, struct scanner *out,
                struct err *e) MUST_USE;
struct scanner_request {
    const char *path, *type, *accept; /* type NULL: a GET */
    struct str body;
    const atomic_bool *stop; /* ends it when it becomes true; may be NULL */
};
/* The caller frees *out with fetch_answer_done, also after -1. */
int scanner_ask(struct supply *s, struct arena *a, const struct scanner *to,
                const struct scanner_request *ask, struct fetch_answer *out,
                struct err *e) MUST_USE;

/* --- scans.c --- */

/* Takes the place of the one before. */
int scan_start(struct supply *s, const struct artifact *of, int64_t user_id, struct str by,
               struct err *e) MUST_USE;
/* The scan of it that goes on, of an index those of its images; what is being asked of the scanner
 * is cut short. *n: how many there were. */
int scan_stop(struct supply *s, const struct artifact *of, struct str by, size_t *n,
              struct err *e) MUST_USE;

/* --- accessory.c: what a manifest is that belongs to an image --- */

enum accessory_kind {
    ACCESSORY_OTHER, /* an image, or something unknown */
    ACCESSORY_COSIGN,
    ACCESSORY_BUNDLE, /* sigstore bundle: a signature or an attestation of newer cosigns */
    ACCESSORY_NOTATION,
    ACCESSORY_SBOM,
    ACCESSORY_ATTESTATION,
    ACCESSORY_KINDS
};
enum accessory_kind accessory_kind_of(struct arena *a, const struct artifact *of);
