/* replication - images to and from other registries by rules: when asked, on a schedule, or as they
 * are pushed.
 *
 *   POST .../run, schedule, a push -> a run (row) -> scheduler thread gives it one of three slots
 *   -> runner thread: lists what is to do (plan.c) -> one task after the other (run.c) ->
 * copy_pull, copy_push of registry
 *
 * Threads: any; one scheduler and three runners of our own. Runs are rows, so what a kill cut goes
 * on by itself: tasks that were not done are done, blobs go on where they stopped. Never two runs
 * of one rule at a time, so a slow peer holds one slot. On disk (docs/formats/replication.md):
 * tables replication_*; passwords are secrets of project 0. */
#pragma once
#include "base/cfg.h"
#include "net/http.h"

struct access;
struct registry;
struct remote;
struct replication;
struct secrets;
struct cidr;
struct state;
struct state_db;
struct state_schema;

extern const struct state_schema replication_schema;
extern const struct route replication_routes[]; /* ctx: struct replication * */
extern const struct http_schema replication_schemas[];
extern const struct cfg_item replication_config[];

/* A copy or deletion that was done or has failed for good. */
struct replication_end {
    int64_t project_id; /* of the side that is here */
    struct str by;      /* who made the rule */
    struct str about;   /* JSON object: "replication" of Harbor's webhooks */
};

struct replication_parts {
    struct state *state;
    struct registry *registry;
    struct access *access;
    struct secrets *secrets;
    const struct cidr *denied; /* where no copy may lead (net.outbound_deny); kept by the caller */
    size_t n_denied;
    const struct cfg *cfg;                                       /* may be NULL: defaults */
    void *ctx;                                                   /* of event, ended */
    void (*event)(void *ctx, const char *type, struct str json); /* for system:manage */
    /* Called in the transaction that writes it down; -1 undoes that. May be NULL. */
    int (*ended)(void *ctx, struct state_db *db, const struct replication_end *x, struct err *e);
};

struct replication *replication_open(const struct replication_parts *p, struct err *e) MUST_USE;
/* The threads, once replication_on_image may be called: unfinished runs go on. */
int replication_start(struct replication *r, struct err *e) MUST_USE;
/* Running transfers are cut, and go on at the next start. */
/* Ends its threads. Caches still open other registries with it until it is closed. */
void replication_halt(struct replication *r);
void replication_close(struct replication *r);
DEFINE_SCOPED(struct replication, replication_close)

/* ERR_NOT_FOUND. In a transaction of the state. */
int replication_has_registry(struct state_db *db, struct str name, struct err *e) MUST_USE;
/* The registry of that name as its client, for caches; remote_close. */
struct remote *replication_open_remote(struct replication *r, struct str name,
                                       bool (*stop)(void *ctx), void *stop_ctx,
                                       struct err *e) MUST_USE;

/* An "image" event of the registry (ImageEvent), after its commit. Any thread; never waits. */
void replication_on_image(struct replication *r, struct str json);
/* Adds its queue to /metrics. */
int replication_metrics(struct state_db *db, struct buf *out, struct err *e) MUST_USE;
