/* webhooks - tells other programs what becomes of a project's images: signed POSTs out of a durable
 * queue.
 *
 *   push -> registry -> (in its transaction) webhooks_queue -> a row a hook
 *   pull -> registry -> webhooks_note -> memory -> within a second: rows
 *   worker threads: the first row of each hook -> fetch -> the target; then what came of it
 *
 * At least once: what was queued with a change is sent also after a kill, perhaps twice (the same
 * request id). A hook's deliveries go out in order, one at a time; a target that fails or hangs
 * holds up its own hook alone.
 *
 * Threads: any; up to WEBHOOK_WORKERS of its own, made when there is something to send. On disk
 * (docs/formats/webhooks.md): tables webhooks and webhook_deliveries; the values of the
 * authorization header and the signing secret are sealed (secrets_wrap). Bodies are those of
 * Harbor's webhooks, or CloudEvents 1.0 in structured mode. */
#pragma once
#include "base/cfg.h"
#include "net/http.h"

enum { WEBHOOK_WORKERS = 8 };

struct access;
struct cidr;
struct secrets;
struct state;
struct state_db;
struct state_schema;
struct webhooks;

extern const struct state_schema webhooks_schema;
extern const struct route webhooks_routes[]; /* ctx: struct webhooks * */
extern const struct http_schema webhooks_schemas[];
extern const struct cfg_item webhooks_config[];

struct webhooks_parts {
    struct state *state;
    struct access *access;
    const struct secrets *secrets;
    const struct cfg *cfg;     /* may be NULL: defaults */
    const struct cidr *denied; /* where no hook may lead; kept by the caller */
    size_t n_denied;
    const char *host; /* of this server, as names of images begin; copied */
    bool is_offline;  /* sends nothing: a check of a state that may be a copy */
};
struct webhooks *webhooks_open(const struct webhooks_parts *p, struct err *e) MUST_USE;
/* Requests under way are cut short; they are sent again by the next start. */
void webhooks_close(struct webhooks *h);
DEFINE_SCOPED(struct webhooks, webhooks_close)
int webhooks_project_gone(struct webhooks *h, int64_t project_id, struct err *e) MUST_USE;

enum webhook_event {
    WEBHOOK_PUSH,
    WEBHOOK_PULL,
    WEBHOOK_DELETE,
    WEBHOOK_QUOTA_EXCEED, /* at most one a minute for a hook */
    WEBHOOK_QUOTA_WARNING,
    WEBHOOK_RETENTION,
    WEBHOOK_REPLICATION,
    WEBHOOK_SCANNED,
    WEBHOOK_SCAN_FAILED,
    WEBHOOK_SCAN_STOPPED,
    WEBHOOK_PING, /* asked for by somebody, for one hook */
    WEBHOOK_EVENTS
};

struct webhook_image {
    struct str tag; /* p == NULL: none */
    struct str digest;
};
struct webhook_news {
    enum webhook_event event;
    int64_t project_id;
    struct str repository; /* "project/rest", or empty */
    int64_t repository_created_ms;
    struct str by;
    const struct webhook_image *images;
    size_t n_images, n_left_out; /* left out: only counted */
    struct str details;          /* a sentence, or empty */
    struct str
        about; /* RETENTION, REPLICATION: the JSON object of that name; scans: of the image */
};
/* Inside the transaction of what it tells of. Fails only when the database does. */
int webhooks_queue(struct webhooks *h, struct state_db *db, const struct webhook_news *n,
                   struct err *e) MUST_USE;
/* Never waits: written down within a second, lost by a kill before that. For what has no
 * transaction. Copies. */
void webhooks_note(struct webhooks *h, const struct webhook_news *n);
/* Adds its queue to /metrics. */
int webhooks_metrics(struct state_db *db, struct buf *out, struct err *e) MUST_USE;
