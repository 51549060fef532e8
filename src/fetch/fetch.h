/* fetch - our own HTTP requests to others: registries, webhooks, scanners. libcurl, blocking.
 *
 *   replication, webhooks -> fetch_do -> libcurl -> peer
 *
 * Threads: a struct fetch belongs to one thread at a time; it keeps connections between requests.
 * Where requests may go is decided on the resolved address, right before the connect
 * (net.outbound_deny): a name that resolves to another address later, or a redirect, is looked at
 * too. Behind a proxy (http_proxy, https_proxy, no_proxy of the environment) addresses in URLs are
 * looked at and the proxy's own; what a name means there is the proxy's to decide. A peer is
 * hostile: answers have limits, and nobody may stand still for long. */
#pragma once
#include "base/buf.h"
#include "base/cidr.h"

#include <sys/types.h>

enum { FETCH_DENIED_MAX = 32, FETCH_HEADERS_MAX = 32, FETCH_HEAD_BYTES_MAX = 64 * 1024 };

struct fetch;

struct fetch_header {
    const char *name, *value;
};

/* Pieces of the answer's body as they come. -1 ends the request. */
typedef int fetch_sink(void *ctx, struct str piece, struct err *e);
/* Up to n bytes of the request's body from `offset` on; 0 at its end, -1: failed. */
typedef ssize_t fetch_source(void *ctx, int64_t offset, char *p, size_t n, struct err *e);
/* Asked about once a second, and between pieces; true ends the request (ERR_CONFLICT). */
typedef bool fetch_stop(void *ctx);

struct fetch_request {
    const char *method; /* "GET", "HEAD", ... */
    const char *url;    /* http, https */
    struct fetch_header headers[FETCH_HEADERS_MAX];
    size_t n_headers;
    struct str body;      /* in memory; p == NULL: none, or from `source` */
    fetch_source *source; /* body_bytes of it */
    int64_t body_bytes;
    size_t answer_max; /* of the body kept in the answer */
    fetch_sink *sink;  /* instead, of an answer of sink_status; what others say is kept */
    int sink_status;   /* 0: 200 */
    void *ctx;         /* of source and sink */
    fetch_stop *stop;  /* may be NULL */
    void *stop_ctx;
    int64_t rate_bytes;     /* in a second, each way; 0: no limit */
    unsigned connect_sec;   /* 0: 10 */
    unsigned total_sec;     /* 0: as long as bytes come */
    unsigned stall_sec;     /* how long none may come; 0: 30 */
    unsigned slowest_bytes; /* in a second, taken over stall_sec: fewer are none; 0: 1 */
    bool follows; /* redirects (GET and HEAD), never from https to http; credentials stay with the
                   * first host */
};

struct fetch_answer {
    int status;
    struct buf head; /* of the last answer: "name: value" lines */
    struct buf body;
    char url[2048];    /* that answered: another one after a redirect */
    bool is_untrusted; /* no answer: the certificate of who would have given it */
};

struct fetch_options {
    const struct cidr *denied; /* kept by the caller */
    size_t n_denied;
    const char *ca_pem; /* copied; NULL: those of the system */
    bool insecure;      /* whoever answers is believed: said by an administrator for one peer */
};

struct fetch *fetch_new(const struct fetch_options *o, struct err *e) MUST_USE;
void fetch_free(struct fetch *f);
DEFINE_SCOPED(struct fetch, fetch_free)

/* 0: an answer came, whatever its status; of one of 400 and more the beginning is enough. -1: none
 * came or it was cut short; ERR_UNAVAILABLE and ERR_TIMEOUT may be tried again, ERR_INVALID (no
 * such URL), ERR_FORBIDDEN (denied address) and ERR_CONFLICT (stopped) not. What came so far is in
 * *out; free it with fetch_answer_done. */
int fetch_do(struct fetch *f, const struct fetch_request *q, struct fetch_answer *out,
             struct err *e) MUST_USE;
void fetch_answer_done(struct fetch_answer *a);

/* The (first) header of that name, case-insensitive; p == NULL without. */
struct str fetch_answer_header(const struct fetch_answer *a, const char *name);
/* After how many seconds a 429 or 503 asks to be tried again; `def` when it does not say. */
int64_t fetch_retry_after(const struct fetch_answer *a, int64_t def, int64_t max);
/* `ref` (absolute or relative, as a Location header has it) seen from `base`. ERR_INVALID: it is no
 * URL, leads from https to http, or is too long. */
int fetch_url_join(const char *base, struct str ref, char out[2048], struct err *e) MUST_USE;
/* Same scheme, host and port: whoever has the credentials of one may have those of the other. */
bool fetch_same_origin(const char *a, const char *b);
