/* A WebSocket of the client (RFC 6455): libcurl makes the connection (proxies, TLS), we shake hands
 * over it, libwslay makes the frames. libcurl's own WebSocket is off in Debian 12. */
#include "main/cli/cli.h"

#include "base/clock.h"
#include "base/hash.h"
#include "main/main_priv.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
    HEAD_MAX = 32 * 1024,
    MESSAGE_MAX = 2 * 1024 * 1024,
    ANSWER_MS = 60 * 1000, /* the server starts a process before it answers */
    SILENCE_MS = 45 * 1000 /* it pings every 10 seconds */
};

struct websocket {
    CURL *curl;
    int fd;
    struct buf head;  /* of the answer; then the bytes behind it */
    size_t head_used; /* frames begin there */
    wslay_event_context_ptr frames;
    websocket_sink *sink;
    void *ctx;
    int64_t heard_ms;
    bool is_closed;
    char close_reason[124];
};

/* --- the connection --- */

/* Proxies of the environment are asked for a tunnel: most do not pass an Upgrade on. */
static int connect_to(struct websocket *w, const char *server, struct err *e)
{
    char detail[CURL_ERROR_SIZE] = "";
    curl_socket_t fd = CURL_SOCKET_BAD;
    CURLcode rc;

    w->curl = curl_easy_init();
    if (w->curl == NULL) {
        return err_set(e, ERR_INTERNAL, "libcurl does not start");
    }
    (void)curl_easy_setopt(w->curl, CURLOPT_URL, server);
    (void)curl_easy_setopt(w->curl, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(w->curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
    (void)curl_easy_setopt(w->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(w->curl, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(w->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    rc = curl_easy_perform(w->curl);
    if (rc == CURLE_OK) {
        rc = curl_easy_getinfo(w->curl, CURLINFO_ACTIVESOCKET, &fd);
    }
    if (rc != CURLE_OK || fd == CURL_SOCKET_BAD) {
        return err_set(e, ERR_UNAVAILABLE, "no Strata server answers at %s: %s", server,
                       detail[0] ? detail : curl_easy_strerror(rc));
    }
    w->fd = (int)fd;
    return 0;
}

static void wait_for(const struct websocket *w, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = w->fd, .events = events};
    int64_t left = deadline_ms - clock_mono_ms();

    (void)poll(&p, 1, left > 0 ? (int)left : 0);
}

static int send_all(struct websocket *w, struct str bytes, struct err *e)
{
    int64_t deadline = clock_mono_ms() + ANSWER_MS;

    while (bytes.len > 0) {
        size_t n = 0;
        CURLcode rc = curl_easy_send(w->curl, bytes.p, bytes.len, &n);

        if ((rc != CURLE_OK && rc != CURLE_AGAIN) || clock_mono_ms() > deadline) {
            return err_set(e, ERR_UNAVAILABLE, "the server takes no request: %s",
                           curl_easy_strerror(rc));
        }
        if (rc == CURLE_AGAIN) {
            wait_for(w, POLLOUT, deadline);
        }
        bytes = str_from(bytes, n);
    }
    return 0;
}

/* --- the handshake --- */

static const char *path_of_server(const char *server)
{
    const char *host = strstr(server, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;

    return path ? path : "";
}

static int send_request(struct websocket *w, const struct client *c, struct str path,
                        const char *protocol, const char *key, struct err *e)
{
    const char *server = client_server(c), *host = strstr(server, "://") + 3;
    SCOPED(buf_done) struct buf b = BUF_MAX(64 * 1024);

    buf_printf(&b,
               "GET %s%.*s HTTP/1.1\r\nHost: %.*s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s"
               "\r\nUser-Agent: strata/" STRATA_VERSION "\r\n",
               path_of_server(server), STR_ARG(path), (int)strcspn(host, "/"), host, key, protocol);
    if (client_token(c)) {
        buf_printf(&b, "Authorization: Bearer %s\r\n", client_token(c));
    }
    buf_add_c(&b, "\r\n");
    return b.failed ? err_set(e, ERR_LIMIT, "the command is too long")
                    : send_all(w, buf_str(&b), e);
}

/* Reads on until the head is whole, or `want` bytes are there. */
static int read_to(struct websocket *w, const char *end, size_t want, struct err *e)
{
    int64_t deadline = clock_mono_ms() + ANSWER_MS;

    while (end ? str_find(buf_str(&w->head), str_of(end)) < 0 : w->head.len < want) {
        char *to = buf_reserve(&w->head, 4096);
        size_t n = 0;
        CURLcode rc = to ? curl_easy_recv(w->curl, to, 4096, &n) : CURLE_OUT_OF_MEMORY;

        if (rc == CURLE_AGAIN && clock_mono_ms() < deadline) {
            wait_for(w, POLLIN, deadline);
            continue;
        }
        if (rc != CURLE_OK || n == 0) {
            return err_set(e, ERR_UNAVAILABLE, "the server did not answer as a Strata server does");
        }
        w->head.len += n;
    }
    return 0;
}

/* The value of a header in the head; empty when there is none. */
static struct str header(const struct websocket *w, struct str name)
{
    struct str rest = str_first(buf_str(&w->head), w->head_used);

    while (rest.p) {
        struct str value = str_cut(&rest, '\n');
        struct str key = str_cut(&value, ':');

        if (value.p && str_eq_nocase(key, name)) {
            value.len -= str_ends(value, STR("\r"));
            return str_trim(value);
        }
    }
    return STR_EMPTY;
}

/* RFC 6455 4.1: the server has understood this very request. */
static bool accept_fits(const struct websocket *w, const char *key)
{
    SCOPED(freep)
    char *text = xasprintf("%s%s", key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SCOPED(buf_done) struct buf want = BUF_MAX(64);
    unsigned char sha1[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    return EVP_Digest(text, strlen(text), sha1, &len, EVP_sha1(), NULL) == 1 &&
           base64_add(&want, str_n((const char *)sha1, len)) == 0 &&
           str_eq(header(w, STR("Sec-WebSocket-Accept")), buf_str(&want));
}

/* The server's sentence. Always -1. */
static int refused(struct websocket *w, int status, struct err *e)
{
    struct client_answer a = {.status = status};
    uint64_t length = 0;
    struct err ignored;

    if (str_to_u64(header(w, STR("Content-Length")), &length) == 0 && length <= HEAD_MAX) {
        (void)!read_to(w, NULL, w->head_used + (size_t)length, &ignored);
    }
    a.body = BUF_MAX(HEAD_MAX);
    (void)buf_add(&a.body, str_from(buf_str(&w->head), w->head_used));
    (void)client_error(&a, e);
    client_answer_done(&a);
    return -1;
}

static int read_answer(struct websocket *w, const char *key, struct err *e)
{
    uint64_t status = 0;
    struct str head;

    if (read_to(w, "\r\n\r\n", 0, e) < 0) {
        return -1;
    }
    head = buf_str(&w->head);
    w->head_used = (size_t)str_find(head, STR("\r\n\r\n")) + 4;
    if (!str_starts(head, STR("HTTP/1.1 ")) ||
        str_to_u64(str_first(str_from(head, 9), 3), &status) < 0) {
        return err_set(e, ERR_UNAVAILABLE, "the server did not answer as a Strata server does");
    }
    if (status != 101) {
        return refused(w, (int)status, e);
    }
    return accept_fits(w, key) ? 0
                               : err_set(e, ERR_UNAVAILABLE,
                                         "something between here and the server answers in its "
                                         "place: a proxy that does not pass WebSocket on?");
}

/* --- wslay's hands --- */

static ssize_t blocked_or_broken(wslay_event_context_ptr frames, CURLcode rc)
{
    wslay_event_set_error(frames,
                          rc == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *p, size_t n, int flags UNUSED,
                       void *ctx)
{
    struct websocket *w = ctx;
    struct str early = str_first(str_from(buf_str(&w->head), w->head_used), n);
    size_t got = 0;
    CURLcode rc;

    if (early.len > 0) {
        memcpy(p, early.p, early.len);
        w->head_used += early.len;
        return (ssize_t)early.len;
    }
    rc = curl_easy_recv(w->curl, p, n, &got);
    if (rc != CURLE_OK || got == 0) {
        return blocked_or_broken(frames, rc == CURLE_OK ? CURLE_RECV_ERROR : rc);
    }
    w->heard_ms = clock_mono_ms();
    return (ssize_t)got;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *p, size_t n, int flags UNUSED,
                       void *ctx)
{
    struct websocket *w = ctx;
    size_t sent = 0;
    CURLcode rc = curl_easy_send(w->curl, p, n, &sent);

    return rc == CURLE_OK && sent > 0 ? (ssize_t)sent : blocked_or_broken(frames, rc);
}

static int on_mask(wslay_event_context_ptr frames UNUSED, uint8_t *p, size_t n, void *ctx UNUSED)
{
    random_bytes(p, n);
    return 0;
}

static void on_msg(wslay_event_context_ptr frames UNUSED,
                   const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
    struct websocket *w = ctx;
    struct str bytes = str_n((const char *)m->msg, m->msg_length);

    if (m->opcode == WSLAY_CONNECTION_CLOSE) {
        w->is_closed = true;
        (void)!str_copy(str_from(bytes, 2), w->close_reason, sizeof(w->close_reason));
    } else if (m->opcode == WSLAY_BINARY_FRAME) {
        w->sink(w->ctx, bytes);
    }
}

/* --- for who uses it --- */

void websocket_close(struct websocket *w)
{
    if (w == NULL) {
        return;
    }
    if (w->frames) {
        wslay_event_context_free(w->frames);
    }
    curl_easy_cleanup(w->curl);
    buf_done(&w->head);
    free(w);
}

struct websocket *websocket_open(const struct client *c, struct str path, const char *protocol,
                                 websocket_sink *sink, void *ctx, struct err *e)
{
    static const struct wslay_event_callbacks hands = {.recv_callback = on_recv,
                                                       .send_callback = on_send,
                                                       .genmask_callback = on_mask,
                                                       .on_msg_recv_callback = on_msg};
    SCOPED(websocket_closep) struct websocket *w = xnew(struct websocket);
    SCOPED(buf_done) struct buf key = BUF_MAX(64);
    char random[16];

    w->head = BUF_MAX(2 * HEAD_MAX);
    w->sink = sink;
    w->ctx = ctx;
    random_bytes(random, sizeof(random));
    (void)base64_add(&key, str_n(random, sizeof(random)));
    if (connect_to(w, client_server(c), e) < 0 ||
        send_request(w, c, path, protocol, key.p, e) < 0 || read_answer(w, key.p, e) < 0) {
        return NULL;
    }
    if (wslay_event_context_client_init(&w->frames, &hands, w) != 0) {
        err_set(e, ERR_INTERNAL, "out of memory");
        return NULL;
    }
    wslay_event_config_set_max_recv_msg_length(w->frames, MESSAGE_MAX);
    w->heard_ms = clock_mono_ms();
    return TAKE(w);
}

int websocket_fd(const struct websocket *w)
{
    return w->fd;
}

void websocket_send(struct websocket *w, struct str message)
{
    struct wslay_event_msg m = {WSLAY_BINARY_FRAME, (const uint8_t *)message.p, message.len};

    (void)wslay_event_queue_msg(w->frames, &m);
}

bool websocket_has_to_send(const struct websocket *w)
{
    return wslay_event_want_write(w->frames);
}

const char *websocket_close_reason(const struct websocket *w)
{
    return w->close_reason;
}

int websocket_serve(struct websocket *w, struct err *e)
{
    if (wslay_event_recv(w->frames) != 0 ||
        (wslay_event_want_write(w->frames) && wslay_event_send(w->frames) != 0)) {
        return err_set(e, ERR_UNAVAILABLE, "the connection to the server was cut");
    }
    if (clock_mono_ms() - w->heard_ms > SILENCE_MS) {
        return err_set(e, ERR_TIMEOUT, "the server has said nothing for %d seconds",
                       SILENCE_MS / 1000);
    }
    return !w->is_closed;
}
