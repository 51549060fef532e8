/* A file of the web. Redirects are followed here and not by the client: another host is asked
 * without the secret, in whatever header it was. */
#include "imports/imports_priv.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { REDIRECTS_MAX = 8 };

struct asking {
    const struct import_order *order;
    struct arena arena;
    struct buf credentials; /* wiped */
    struct fetch_request request;
    struct counted counted;
    char url[2048];
};

static void asking_done(struct asking *a)
{
    if (a->credentials.p) {
        explicit_bzero(a->credentials.p, a->credentials.cap);
    }
    buf_done(&a->credentials);
    arena_done(&a->arena);
}

/* A value that breaks a line would be a second header. */
static int check_secret(struct str secret, struct err *e)
{
    for (size_t i = 0; i < secret.len; i++) {
        if ((unsigned char)secret.p[i] < ' ') {
            return err_set(e, ERR_INVALID,
                           "the secret holds a line break or another control character, which no "
                           "header can carry: store it again without");
        }
    }
    return 0;
}

static int write_credentials(struct asking *a, const char *auth, struct err *e)
{
    struct str secret = a->order->secret;
    struct buf *out = &a->credentials;

    out->max = 2 * LIMIT_SECRET_BYTES + 64;
    if (secret.len > 0 && secret.p[secret.len - 1] == '\n') { /* as editors end files */
        secret.len--;
    }
    if (check_secret(secret, e) < 0) {
        return -1;
    }
    if (strcmp(auth, "basic") == 0 && str_find_char(secret, ':') < 0) {
        return err_set(e, ERR_INVALID, "the secret must be user:password when auth is basic");
    }
    if (strcmp(auth, "basic") == 0) {
        (void)buf_add_c(out, "Basic ");
        (void)base64_add(out, secret);
    } else {
        (void)buf_add_c(out, strcmp(auth, "bearer") == 0 ? "Bearer " : "");
        (void)buf_add(out, secret);
    }
    (void)buf_add(out, str_n("", 1));
    return out->failed ? err_set(e, ERR_LIMIT, "the secret is too long for a header") : 0;
}

static void add_header(struct asking *a, const char *name, const char *value)
{
    if (a->request.n_headers < FETCH_HEADERS_MAX) {
        a->request.headers[a->request.n_headers++] = (struct fetch_header){name, value};
    }
}

static int add_headers(struct asking *a, struct err *e)
{
    const char *auth = import_text(a->order, "auth");
    struct str rest = str_of(import_text(a->order, "headers"));

    while (rest.p && rest.len > 0) {
        struct str line = str_trim(str_cut(&rest, '\n')), value = line, name = str_cut(&value, ':');

        if (value.p) {
            add_header(a, arena_strdup(&a->arena, name), arena_strdup(&a->arena, str_trim(value)));
        }
    }
    if (strcmp(auth, "none") == 0) {
        return 0;
    }
    if (write_credentials(a, auth, e) < 0) {
        return -1;
    }
    add_header(a,
               strcmp(auth, "header") == 0 ? import_text(a->order, "auth_header") : "Authorization",
               a->credentials.p);
    return 0;
}

/* An address that a server sent us to may hold a ticket that opens it (S3 signs its URLs): people
 * who read the sentence get it without. */
static void hide_ticket(const struct asking *a, struct err *e)
{
    struct str url = str_of(a->url), rest;
    ptrdiff_t mark = str_find_char(url, '?'), at;
    char *from, *to;

    if (mark < 0 || str_eq(url, str_of(import_text(a->order, "url")))) {
        return;
    }
    at = str_find(str_of(e->msg), str_first(url, (size_t)mark + 1));
    if (at < 0) {
        return;
    }
    from = &e->msg[at + mark];
    rest = str_of(from);
    to = from + str_cut(&rest, ' ').len;
    to -= to[-1] == ':';
    memmove(from, to, strlen(to) + 1);
}

/* Where the answer sends us. 1: there; 0: it is the last one. */
static int follow(struct asking *a, const struct fetch_answer *got, struct err *e)
{
    struct str to = fetch_answer_header(got, "Location");
    char next[2048];

    if (to.p == NULL || got->status < 301 || got->status > 308 || got->status == 304) {
        return 0;
    }
    if (fetch_url_join(a->url, to, next, e) < 0) {
        return err_set(e, ERR_INVALID,
                       "%.150s leads to an address that is not followed: only http and https are, "
                       "and from https only https",
                       import_text(a->order, "url"));
    }
    if (!fetch_same_origin(a->url, next)) {
        a->request.n_headers = 0;
    }
    memcpy(a->url, next, sizeof(next));
    return 1;
}

/* 1: at another place. */
static int ask(struct asking *a, struct fetch *f, struct err *e)
{
    struct fetch_answer got;
    int rc;

    a->request.url = a->url;
    a->counted = counted_of(a->order);
    rc = import_get(f, a->order, &a->counted, &a->request, &got, e);
    if (rc == 0 && got.status != 200) {
        rc = follow(a, &got, e);
        if (rc == 0) {
            rc = import_status(got.status, a->url, STR_EMPTY, e);
        }
    }
    fetch_answer_done(&got);
    if (rc < 0) {
        hide_ticket(a, e);
    }
    return rc;
}

int url_bring(const struct import_order *o, struct err *e)
{
    SCOPED(asking_done) struct asking a = {.order = o};
    SCOPED(fetch_freep) struct fetch *f = NULL;
    int rc = 1;

    if (str_copy(str_of(import_text(o, "url")), a.url, sizeof(a.url)) < 0) {
        return err_set(e, ERR_INVALID, "the address is longer than %zu bytes", sizeof(a.url) - 1);
    }
    f = import_client(o, e);
    if (f == NULL || add_headers(&a, e) < 0) {
        return -1;
    }
    for (int i = 0; rc > 0 && i <= REDIRECTS_MAX; i++) {
        rc = ask(&a, f, e);
    }
    return rc > 0 ? err_set(e, ERR_INVALID, "%s: redirected more than %d times",
                            import_text(o, "url"), REDIRECTS_MAX)
                  : rc;
}
