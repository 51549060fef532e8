/* One delivery on its way: headers, signature, and what the target's answer means. */
#include "webhooks_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "fetch/fetch.h"
#include "secrets/secrets.h"

#include <stdio.h>
#include <string.h>

enum {
    SEND_SEC = 10,
    SEND_RATE = 4 * 1024 * 1024, /* a second: an endless answer shall not cost a core */
    RETRY_AFTER_MAX_SEC = 3600
};

static bool is_stopped(void *ctx)
{
    const struct turn *t = ctx;

    return atomic_load(&t->is_stopped);
}

struct sealed {
    struct buf auth, signature, stamp, signed_text;
};

static void sealed_done(struct sealed *s)
{
    if (s->auth.p != NULL) {
        explicit_bzero(s->auth.p, s->auth.len);
    }
    buf_done(&s->auth);
    buf_done(&s->signature);
    buf_done(&s->stamp);
    buf_done(&s->signed_text);
}

static int open_value(const struct webhooks *h, const struct parcel *p, const char *what,
                      struct str sealed, struct buf *out, struct err *e)
{
    char place[SECRETS_PLACE_MAX];
    int n = snprintf(place, sizeof(place), "webhook/%lld/%s", (long long)p->hook_id, what);

    return sealed.len == 0 ? 0
                           : secrets_unwrap(h->secrets, str_n(place, (size_t)n), sealed, out, e);
}

/* sha256=<hex> of HMAC-SHA256 over "<timestamp>.<body>": an old request cannot be sent anew. */
static int sign(const struct webhooks *h, const struct parcel *p, struct sealed *s, struct err *e)
{
    SCOPED(buf_done) struct buf key = BUF_MAX(LIMIT_WEBHOOK_VALUE_BYTES + 1);
    unsigned char mac[SHA256_BYTES];
    char hex[SHA256_HEX + 1];

    buf_printf(&s->stamp, "%lld", (long long)(clock_wall_ms() / 1000));
    if (p->secret.len == 0) {
        return 0;
    }
    if (open_value(h, p, "secret", p->secret, &key, e) < 0) {
        return -1;
    }
    buf_printf(&s->signed_text, "%s.", s->stamp.p);
    buf_add(&s->signed_text, p->payload);
    hmac_sha256(buf_str(&key), buf_str(&s->signed_text), mac);
    explicit_bzero(key.p, key.len);
    hex_encode(mac, sizeof(mac), hex);
    buf_printf(&s->signature, "sha256=%s", hex);
    return 0;
}

static void add_header(struct fetch_request *q, const char *name, const char *value)
{
    q->headers[q->n_headers++] = (struct fetch_header){name, value};
}

static struct fetch_request request_of(const struct parcel *p, const struct sealed *s,
                                       struct turn *t)
{
    struct fetch_request q = {.method = "POST",
                              .url = p->url,
                              .body = p->payload,
                              .stop = is_stopped,
                              .stop_ctx = t,
                              .rate_bytes = SEND_RATE,
                              .total_sec = SEND_SEC};

    add_header(&q, "Content-Type", payload_type(p->format));
    add_header(&q, "X-Request-Id", p->request_id);
    add_header(&q, "X-Strata-Event", p->event);
    add_header(&q, "X-Strata-Timestamp", s->stamp.p);
    if (s->signature.len > 0) {
        add_header(&q, "X-Strata-Signature", s->signature.p);
    }
    if (s->auth.len > 0) {
        add_header(&q, "Authorization", s->auth.p);
    }
    return q;
}

/* Whatever becomes of the rest of its answer: a target that said 2xx has it. */
static bool was_taken(int status)
{
    return status >= 200 && status < 300;
}

static void explain_status(int status, char error[512])
{
    (void)snprintf(error, 512, "the target answered %d%s", status,
                   status >= 300 && status < 400
                       ? ": redirects are not followed; set the url it leads to"
                       : "");
}

static int64_t wait_ms(const struct webhooks *h, const struct parcel *p,
                       const struct fetch_answer *a)
{
    int64_t delay = queue_delay_ms(h->first_delay_ms, p->streak + 1);
    int64_t asked = 0;

    if (a->status == 429 || a->status == 503) {
        asked = fetch_retry_after(a, 0, RETRY_AFTER_MAX_SEC) * 1000;
    }
    return asked > delay ? asked : delay;
}

/* A denied or impossible address, a value that cannot be opened: time alone mends none of them. */
static bool is_hopeless(const struct fetch_answer *a, const struct err *e)
{
    return a->status == 0 &&
           (e->kind == ERR_FORBIDDEN || e->kind == ERR_INVALID || e->kind == ERR_IO);
}

static int send_it(struct webhooks *h, struct turn *t, const struct parcel *p,
                   struct fetch_answer *a, struct err *e)
{
    SCOPED(fetch_freep)
    struct fetch *f = fetch_new(&(struct fetch_options){.denied = h->denied,
                                                        .n_denied = h->n_denied,
                                                        .ca_pem = p->ca[0] ? p->ca : NULL,
                                                        .insecure = p->insecure},
                                e);
    SCOPED(sealed_done)
    struct sealed s = {.auth = BUF_MAX(LIMIT_WEBHOOK_VALUE_BYTES + 1),
                       .signature = BUF_MAX(128),
                       .stamp = BUF_MAX(32),
                       .signed_text = BUF_MAX(LIMIT_WEBHOOK_PAYLOAD + 32)};
    struct fetch_request q;

    if (f == NULL || sign(h, p, &s, e) < 0 || open_value(h, p, "auth", p->auth, &s.auth, e) < 0) {
        return -1;
    }
    q = request_of(p, &s, t);
    return fetch_do(f, &q, a, e);
}

int parcel_send(struct webhooks *h, struct turn *t, const struct parcel *p, char error[512],
                struct outcome *out)
{
    struct fetch_answer a = {.status = 0};
    struct err e = {0};
    int64_t began_ms = clock_mono_ms();
    int result = send_it(h, t, p, &a, &e);

    *out = (struct outcome){.status = a.status, .duration_ms = clock_mono_ms() - began_ms};
    if (!was_taken(a.status)) {
        out->wait_ms = wait_ms(h, p, &a);
        out->is_final =
            p->is_ping || p->attempts + 1 >= h->tries || (result < 0 && is_hopeless(&a, &e));
        out->error = error;
        if (result == 0 || a.status >= 300) {
            explain_status(a.status, error);
        } else {
            (void)!str_copy(str_of(e.msg), error, 512);
        }
    }
    fetch_answer_done(&a);
    return result < 0 && e.kind == ERR_CONFLICT && !was_taken(out->status) && is_stopped(t) ? -1
                                                                                            : 0;
}
