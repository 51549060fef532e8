/* hooks - how a project's webhooks change: for our own API, and for modules that speak that of
 * somebody else over the same rows (harbor). The caller's permission was checked by his route. */
#pragma once
#include "base/json.h"
#include "webhooks/webhooks.h"

enum hook_format { HOOK_DEFAULT, HOOK_CLOUDEVENTS, HOOK_FORMATS };

const char *event_name(enum webhook_event event); /* "PUSH_ARTIFACT" */
const char *format_name(enum hook_format format);
#define EVENT_BIT(event) (1U << (event))

/* --- hook.c: what people set --- */

enum hook_field {
    HOOK_HAS_NAME = 1,
    HOOK_HAS_URL = 2,
    HOOK_HAS_EVENTS = 4,
    HOOK_HAS_FORMAT = 8,
    HOOK_HAS_REPOSITORIES = 16,
    HOOK_HAS_TAGS = 32,
    HOOK_HAS_AUTH = 64,
    HOOK_HAS_SECRET = 128,
    HOOK_HAS_CA = 256,
    HOOK_HAS_ENABLED = 512,
    HOOK_HAS_SKIPS = 1024 /* never of a body: an administrator's to say */
};
struct hook_change {
    unsigned given; /* hook_field */
    struct str name, url, repositories, tags, auth, secret, ca;
    unsigned events; /* EVENT_BITs */
    enum hook_format format;
    bool enabled;
    bool skips; /* any certificate is believed */
};
/* Views into `body`. Names every mistake at once. */
int hook_change_parse(const json_t *body, struct hook_change *out, struct err *e) MUST_USE;
int hook_url_check(struct str url, struct err *e) MUST_USE;

/* --- store.c: durable when they return 0. A hook of another project is not found. --- */

struct hook_key {
    int64_t project_id, id;
};
int hook_add(struct webhooks *h, int64_t project_id, const struct hook_change *c, struct str by,
             int64_t *id, struct err *e) MUST_USE;
int hook_update(struct webhooks *h, const struct hook_key *k, const struct hook_change *c,
                struct err *e) MUST_USE;
int hook_skip_verify(struct webhooks *h, const struct hook_key *k, bool skips,
                     struct err *e) MUST_USE;
int hook_drop(struct webhooks *h, const struct hook_key *k, struct err *e) MUST_USE;
