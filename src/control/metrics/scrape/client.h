/* client - requests to targets and to whoever tells them, with what an http_config says. libcurl.
 *
 * Threads: a call belongs to one. Private to scrape. Peers come from discovery too, which others
 * write: none leads to an address of net.outbound_deny, and what the configuration gives to prove
 * ourselves (credentials, its own headers) stays with the host it was given for. What they answer
 * has limits. */
#pragma once
#include "base/buf.h"
#include "scrape/config.h"

#include <curl/curl.h>

struct client_call {
    CURL *curl;
    struct curl_slist *headers;
    struct curl_slist *common; /* those of them that another host may see */
    const struct http_config *http;
    struct buf body;
    bool is_too_long, was_stopped, is_denied, is_unix;
    char detail[CURL_ERROR_SIZE];
    char type[128];                           /* Content-Type of the answer */
    const bool *stop;                         /* ends it when true; may be NULL */
    int (*sink)(void *ctx, struct str piece); /* instead of body; -1 ends it */
    void *ctx;
};

/* For all calls of the process; any thread, any number of times. */
void client_init(void);
/* `c->curl` is there. Sets all but the address and timeouts; secrets in files are read now. Body
 * past `max` ends it. */
int client_prepare(struct client_call *c, const struct http_config *h, size_t max,
                   struct err *e) MUST_USE;
/* For whoever answers. */
int client_header(struct client_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* For the host of the address alone: not sent after a redirect to another one. */
void client_own_headers(struct client_call *c, struct labels headers);
/* Where it goes, with the headers so far. -1: it names an address of net.outbound_deny. */
int client_go_to(struct client_call *c, const char *url, struct err *e) MUST_USE;
/* Why it ended badly. Status other than 200 is bad, too. */
int client_result(struct client_call *c, CURLcode code, struct err *e) MUST_USE;
void client_done(struct client_call *c); /* of a call; the handle stays */

/* GET, blocking. `unix_socket` may be NULL. `out` has its ceiling. */
int client_get(const struct http_config *h, const char *url, const char *unix_socket,
               const char *accept, int64_t timeout_ms, const bool *stop, struct buf *out,
               struct err *e) MUST_USE;
