/* supply - what is known about an image, and whether that is enough: signatures, SBOMs,
 * vulnerabilities; the rules of a project for what may be pulled and run.
 *
 *   pull -> registry -> supply_may_pull -> policy -> signatures of the image (or of an index that
 *   lists it) against the project's keys; findings of its report
 *   job  -> supply_may_run -> the same
 *   push or by hand -> supply_scans -> worker thread -> scanner -> its report
 *
 * Threads: any, one of its own. On disk (docs/formats/supply.md): tables supply_projects,
 * supply_keys, supply_reports, supply_findings, supply_scanners, supply_scans. Verified signatures
 * are cached in memory until a key changes. Sources: OCI image-spec 1.1, cosign's signature
 * specification (simple signing, tags), DSSE 1.0, SARIF 2.1.0, CycloneDX 1.4 to 1.6, the pluggable
 * image vulnerability scanning API 1.1. */
#pragma once
#include "net/http.h"

struct access;
struct cidr;
struct content;
struct registry;
struct registry_arrival;
struct registry_pull;
struct registry_restore;
struct secrets;
struct state;
struct state_db;
struct state_schema;
struct supply;

extern const struct state_schema supply_schema;
extern const struct route supply_routes[]; /* ctx: struct supply * */
extern const struct http_schema supply_schemas[];

/* A scan has ended; `overview`: a JSON object about it and what was found, as Harbor's webhooks
 * have it. */
enum scan_end { SCAN_SUCCEEDED, SCAN_FAILED, SCAN_STOPPED };
struct supply_scanned {
    enum scan_end end;
    int64_t project_id;
    struct str repository, tag, digest, by, overview; /* tag.p NULL: none */
};

struct supply_parts {
    struct state *state;
    struct access *access;
    struct registry *registry;
    struct content *content;
    const struct secrets *secrets;
    const struct cidr *denied; /* where no scanner may be; kept by the caller */
    size_t n_denied;
    const char *url; /* of this server, for scanners to pull from; copied */
    bool is_offline; /* asks no scanner: a check of a state that may be a copy */
    void *ctx;
    /* In the transaction that ends it. May be NULL. */
    int (*scanned)(void *ctx, struct state_db *db, const struct supply_scanned *x, struct err *e);
};
struct supply *supply_open(const struct supply_parts *p, struct err *e) MUST_USE;
void supply_close(struct supply *s);
DEFINE_SCOPED(struct supply, supply_close)
int supply_project_gone(struct supply *s, int64_t project_id, struct err *e) MUST_USE;

/* Begins the scan of what arrived, where the project has that done. */
void supply_arrived(struct supply *s, const struct registry_arrival *x);
/* What is known about images goes with them into another project. */
int supply_restoring(struct state_db *db, const struct registry_restore *x, struct err *e) MUST_USE;
/* Once a minute: reports of images that are gone, and cannot come back, go too. */
int supply_housekeep(struct supply *s, struct err *e) MUST_USE;
/* ERR_FORBIDDEN: the project's rules are against it. */
int supply_may_pull(struct supply *s, const struct registry_pull *p, struct err *e) MUST_USE;
int supply_may_run(struct supply *s, int64_t project_id, struct str repository, const char *digest,
                   struct err *e) MUST_USE;
/* Adds its queue to /metrics. */
int supply_metrics(struct state_db *db, struct buf *out, struct err *e) MUST_USE;
