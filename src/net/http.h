/* http - our HTTP/1.1 engine: sockets, parsing, routes, bodies, streams.
 *
 *   accept -> epoll parks the connection until a head is complete (one-shot) -> a worker parses it,
 *   finds the route, authenticates, authorizes, calls the handler, which runs straight to its end
 *   with blocking I/O under deadlines -> the connection is parked again (keep-alive)
 *
 * Threads: handlers run on workers; pump/on_message callbacks run on the relay thread and must not
 * block. Only this module knows epoll.
 * Sources: RFC 9110, RFC 9112, RFC 6455, WHATWG Server-Sent Events. What the strict parser refuses:
 * docs/decisions/0001. Shape and reasons: DESIGN in docs/architecture.md. */
#pragma once
#include "base/arena.h"
#include "base/cfg.h"
#include "base/json.h"
#include "net/perm.h"

struct http_server;
struct http_conn;

enum http_method {
    HTTP_GET, /* a GET route also answers HEAD: the engine drops the body */
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS
};
const char *http_method_name(enum http_method m);

struct http_header {
    struct str name; /* as sent */
    struct str value;
};

struct http_param {
    struct str name, value; /* decoded */
};

/* One request; lives on the worker. Everything in it lives in `arena` until the reply is sent. */
struct http_req {
    struct arena arena;
    enum http_method method;
    struct str target; /* as sent, origin form */
    struct str path;   /* decoded; no empty, "." or ".." segment, no NUL */
    const struct http_header *headers;
    size_t n_headers;
    const struct http_param *query;
    size_t n_query;
    const struct http_param *path_params;
    size_t n_path_params;
    char id[17];       /* request id; also X-Request-Id of the answer */
    char peer[64];     /* address of the client */
    struct str scheme; /* "http", "https"; honours X-Forwarded-Proto from net.trusted_proxies */
    struct str host;   /* the Host header (or X-Forwarded-Host, same condition) */
    struct principal who;
    struct str project; /* name of the project the route is about, or empty */
    const struct route *route;
    void *ctx;              /* of the mount */
    const char *error_code; /* set by a handler before it fails; for the mount's error format */
    struct str audit_note;  /* set by a handler: what the audit says behind the path */
    struct http_conn *conn; /* private to net */
};

/* 0: a reply was sent (or the request parked). -1: *e goes to the client in the mount's format. */
typedef int http_handler(struct http_req *r, struct err *e);

enum route_flags {
    ROUTE_NO_AUDIT = 1,   /* changes nothing by itself (a chunk of an upload, a token check) */
    ROUTE_RAW_PATH = 2,   /* path parameters may hold empty or dot segments: the handler looks */
    ROUTE_OWN_WORKER = 4, /* never waits for a free worker: /readyz */
    ROUTE_AUDIT = 8,      /* a GET that does something: a shell */
};

/* `pattern`: "/api/v1/projects/{p}/jobs/{id}". {name} is one segment, {name...} one or more, also
 * in the middle ("/v2/{repo...}/manifests/{ref}"; the last fit wins). More literal text wins over
 * less. For PERM_WHERE_PROJECT the project is {p}, or the first segment of {repo...}.
 *
 * From flags on a row names the columns it needs. The last three are for openapi; their words are
 * names of components (struct http_schema), or media types when they hold a slash. "[User]" is a
 * page of components: {"items": [...], "next": "..." or null}. */
struct route {
    enum http_method method;
    const char *pattern;
    enum perm perm;
    http_handler *handle;
    const char *summary; /* one sentence: openapi, manual */
    unsigned flags;
    const char *query; /* "limit after" */
    const char *takes; /* "UserNew", "JobNew application/yaml" */
    const char *gives; /* "200 [User]", "201 FileWritten, 202", "204"; NULL: not in openapi */
    enum perm also;    /* a second permission that is needed; PERM_PUBLIC: none */
};

/* A component of openapi: the form of a JSON value, as net/schema.h reads it. */
struct http_schema {
    const char *name, *form;
};

/* How a family of routes writes its errors and challenges. */
struct http_style {
    /* Fills the body; the engine has the status. NULL: {"error":{"kind","message","request_id"}} */
    void (*error_body)(const struct http_req *r, int status, const struct err *e, struct buf *out);
    /* Adds headers to a 401 (WWW-Authenticate). NULL: Bearer realm="strata". */
    void (*challenge)(struct http_req *r, enum perm perm, struct str project);
    /* The name of the project that {p} means, where paths may also say its id; runs before anybody
     * is asked who he is. NULL: {p} is the name. */
    struct str (*project)(struct http_req *r, struct str p);
};

struct http_mount {
    const struct route *routes; /* ends with a zero row */
    void *ctx;
    const struct http_style *style;
};

/* What access gives to the dispatcher (main/wire.c). */
struct http_hooks {
    void *ctx;
    /* Who is it? No credentials: success with an anonymous principal. Wrong, expired or revoked
     * ones: ERR_UNAUTHENTICATED. */
    int (*authenticate)(void *ctx, struct http_req *r, struct principal *out, struct err *e);
    /* May he? ERR_UNAUTHENTICATED (anonymous) or ERR_FORBIDDEN; ERR_NOT_FOUND for a project that he
     * may not even see. */
    int (*authorize)(void *ctx, struct http_req *r, enum perm perm, struct str project,
                     struct err *e);
    /* Every request that is not GET or HEAD, unless ROUTE_NO_AUDIT, and those with ROUTE_AUDIT,
     * once its status is known and before the answer is sent. */
    void (*audit)(void *ctx, const struct http_req *r, int status);
};

struct http_options {
    struct str listen;              /* "127.0.0.1:8080", "[::]:0" */
    const char *listen_name;        /* where a user says it; NULL: net.listen (--listen) */
    const char *tls_cert, *tls_key; /* paths, or NULL for plain HTTP */
    struct str trusted_proxies;     /* comma-separated addresses or CIDR */
    const struct http_mount *mounts;
    size_t n_mounts;
    struct http_hooks hooks;
};

extern const struct cfg_item net_config[];

/* Binds and listens; serves from http_server_start on. `o` is copied, what it points to is not.
 * "Address in use" is an ERR_CONFLICT that names the port and what to do. */
struct http_server *http_server_open(const struct http_options *o, struct err *e) MUST_USE;
int http_server_start(struct http_server *s, struct err *e) MUST_USE;
unsigned http_server_port(const struct http_server *s);
/* No new connections; idle ones are closed; running requests get `grace_ms`; streams are ended. */
void http_server_drain(struct http_server *s, unsigned grace_ms);
void http_server_close(struct http_server *s);
void http_server_dump(struct http_server *s, struct buf *out);
/* Answers by the kind of route and their status, for /metrics. */
void http_server_metrics(struct http_server *s, struct buf *out);

/* --- what handlers read --- */

/* First header of that name (case-insensitive), or the empty view with p == NULL. */
struct str http_header(const struct http_req *r, const char *name);
/* Whether the list in that header (Accept, Accept-Encoding) names `what`, or "*", and not with a
 * weight of zero (RFC 9110, 12.4.2). */
bool http_takes(const struct http_req *r, const char *header, const char *what);
/* A decoded query or path parameter; p == NULL when missing. */
struct str http_query(const struct http_req *r, const char *name);
struct str http_path_param(const struct http_req *r, const char *name);
/* ?limit= (default and ceiling LIMIT_LIST_ROWS) */
int http_query_i64(const struct http_req *r, const char *name, int64_t def, int64_t min,
                   int64_t max, int64_t *out, struct err *e) MUST_USE;
/* ?q=, checked as a filter of a list (base/words.h); empty when it is missing. */
int http_query_filter(const struct http_req *r, struct str *out, struct err *e) MUST_USE;
/* Body length, -1 when chunked, 0 when there is none. */
int64_t http_body_length(const struct http_req *r);
/* Up to n bytes; 0 at the end. Flat memory. Errors: cut short, too slow (ERR_TIMEOUT), bad framing;
 * the connection is closed after the answer. Sends 100 Continue at the first call. */
ssize_t http_body_read(struct http_req *r, void *p, size_t n, struct err *e);
/* The whole body up to max bytes, in the arena. */
int http_body_all(struct http_req *r, size_t max, struct str *out, struct err *e) MUST_USE;
/* A JSON object of at most LIMIT_JSON_BODY_BYTES; the caller owns it (json_decrefp). */
int http_body_json(struct http_req *r, json_t **out, struct err *e) MUST_USE;
/* application/x-www-form-urlencoded, decoded, in the arena; same limit. */
int http_body_form(struct http_req *r, const struct http_param **out, size_t *n,
                   struct err *e) MUST_USE;

/* --- what handlers answer; exactly one of the http_reply_*, once --- */

/* A header of the answer, before it is sent. CR and LF in the value are refused (asserted name). */
void http_set_header(struct http_req *r, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Content-Disposition: attachment under that name, of any bytes (RFC 6266). */
void http_set_attachment(struct http_req *r, const char *filename);
int http_reply(struct http_req *r, int status, const char *type, struct str body, struct err *e);
int http_reply_empty(struct http_req *r, int status, struct err *e);
/* `json` may have failed (past its ceiling): then ERR_LIMIT. */
int http_reply_json(struct http_req *r, int status, const struct buf *json, struct err *e);

struct http_file {
    int fd;             /* stays the caller's; not looked at for HEAD */
    int64_t size_bytes; /* whole representation */
    const char *type;
    const char *etag;     /* quoted, or NULL */
    int64_t modified_ms;  /* 0: no Last-Modified */
    const char *filename; /* Content-Disposition: attachment, RFC 6266; or NULL */
    /* A file that still grows; NULL: it is whole. Waits until something behind `at` may be sent and
     * says up to where (at most `end`, where the answer ends). -1: it will never be whole; the
     * connection is cut. */
    int64_t (*grown)(void *ctx, int64_t at, int64_t end, struct err *e);
    void *ctx;
};
/* 200, 206 (one range), 304, 412, 416; sendfile where it can. */
int http_reply_file(struct http_req *r, const struct http_file *f, struct err *e);

/* The client hung up: nobody waits for the answer. Costs a system call. */
bool http_client_is_gone(const struct http_req *r);

/* RFC 9110 13.1.2: the client has this representation; `etag` is quoted. Then answer 304. */
bool http_not_modified(const struct http_req *r, const char *etag);

/* A body of unknown length, chunked; the end is written when the handler returns 0. With -1 the
 * connection is cut, so that the client sees that it has not all. */
int http_stream_begin(struct http_req *r, int status, const char *type, struct err *e) MUST_USE;
int http_stream_write(struct http_req *r, struct str bytes, struct err *e) MUST_USE;

/* A stream that outlives the handler without costing a thread (logs that are followed, SSE). */
struct http_stream_ops {
    /* Appends to `out` (ceiling 64 KiB). Called when woken, at each tick, and when the socket takes
     * more. 1: go on. 0: that was all, end the body. -1: cut the connection. */
    int (*pump)(void *ctx, struct buf *out);
    void (*close)(void *ctx); /* exactly once, whatever happened */
};
/* The handler returns 0 right after. `tick_ms` 0: only when woken. Takes over `stream_ctx` on
 * success. *waker (may be NULL) stays valid until close() is called; it is NULL when there is
 * nothing to wait for (HEAD: close() was called already). */
struct http_waker;
int http_park(struct http_req *r, const char *type, const struct http_stream_ops *ops,
              void *stream_ctx, unsigned tick_ms, struct http_waker **waker,
              struct err *e) MUST_USE;
void http_wake(struct http_waker *w); /* any thread; NULL does nothing */

/* Whom an event concerns: those who may `perm`, in `project` when the permission is one of
 * projects; of them only the user with this id, when it is not 0. */
struct http_audience {
    enum perm perm;
    struct str project;
    int64_t user_id;
};
enum http_sight { HTTP_UNSEEN, HTTP_SEEN, HTTP_SIGNED_OUT };

/* Server-Sent Events for many readers: a ring of recent events (Last-Event-ID resumes; "event:
 * missed" when it cannot, then the reader loads its state anew; ?replay_ms= begins with what was
 * told in the last so many milliseconds, likewise), slow readers are cut. `may_see` is asked per
 * event and reader, on the relay thread, and at each heartbeat with `to` NULL: whoever is
 * HTTP_SIGNED_OUT has his stream ended, and learns why when he asks for another. Free it after the
 * server is closed. */
struct http_events;
struct http_events *http_events_new(size_t ring_len) MUST_USE;
void http_events_free(struct http_events *ev);
/* `json` is one line. Any thread. */
void http_events_publish(struct http_events *ev, const char *type, const struct http_audience *to,
                         struct str json);
typedef enum http_sight http_events_filter(void *ctx, const struct principal *who,
                                           const struct http_audience *to);
/* A project goes: what was told of it is told to nobody any more, whoever has its name next. */
void http_events_forget(struct http_events *ev, struct str project);
int http_events_serve(struct http_req *r, struct http_events *ev, http_events_filter *may_see,
                      void *filter_ctx, struct err *e);

/* RFC 6455. Messages up to 1 MiB; ping and close are answered by the engine. */
struct http_ws;
struct http_ws_ops {
    void (*on_message)(void *ctx, struct http_ws *ws, bool is_text, struct str message);
    /* NULL, or: moves what can be moved without waiting. Called when a watched descriptor is ready,
     * when the peer took or sent something, and at least every 10 s. */
    void (*pump)(void *ctx, struct http_ws *ws);
    void (*close)(void *ctx); /* exactly once */
};
/* What is checked before a handler does work for a WebSocket: it is a handshake, and Origin fits
 * Host (browsers). ERR_INVALID, ERR_FORBIDDEN. */
int http_check_websocket(struct http_req *r, struct err *e) MUST_USE;
/* The first of `ours` (NULL-terminated) that the client offers, or NULL. */
const char *http_ws_subprotocol(const struct http_req *r, const char *const *ours);
/* The same check, then answers 101 and moves the connection to the relay thread. */
int http_upgrade_websocket(struct http_req *r, const char *subprotocol,
                           const struct http_ws_ops *ops, void *ws_ctx, struct http_ws **out,
                           struct err *e) MUST_USE;
int http_ws_send(struct http_ws *ws, bool is_text, struct str message); /* any thread; -1: gone */
/* All that was sent before goes out first. `reason` (NULL: none) is for people:
 * its first 123 bytes, what is not ASCII as '?'. Any thread. */
void http_ws_close(struct http_ws *ws, unsigned code, const char *reason);

/* --- in pump and on_message only --- */

/* How much may be sent until the peer takes some; 0: stop reading what feeds it. A peer for whom
 * more than 4 MiB wait is cut. */
size_t http_ws_room(struct http_ws *ws);
/* While paused, no message is taken from the socket: what is bounded then is the peer. A few small
 * ones that came with the last may still follow. */
enum http_ws_intake { HTTP_WS_TAKES, HTTP_WS_PAUSES };
void http_ws_set_intake(struct http_ws *ws, enum http_ws_intake intake);
/* A descriptor that the relay waits for: pump is called while it is ready. Zero `events` before it
 * is closed. */
enum http_ws_events { HTTP_WS_READABLE = 1, HTTP_WS_WRITABLE = 2 };
struct http_ws_fd {
    int fd;         /* non-blocking, or -1 */
    unsigned armed; /* private */
};
void http_ws_watch(struct http_ws *ws, struct http_ws_fd *f, unsigned events);
