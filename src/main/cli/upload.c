/* One file into a volume; what breaks goes on where the server stopped. */
#include "main/cli/upload.h"

#include "base/hash.h"

#include <string.h>
#include <unistd.h>

enum { UPLOAD_TRIES = 8, RETRY_MS = 1000 };

static void upload_moved(void *ctx, int64_t done, int64_t total UNUSED)
{
    struct upload *u = ctx;

    u->began |= done > 0;
    u->meter->base_bytes = u->spared_bytes + u->offset;
    meter_bytes(u->meter, u->sent_bytes + done, u->whole_bytes - u->meter->base_bytes);
}

/* What the server has of this upload; 0 when it knows none. */
static int ask_offset(struct upload *u, int64_t *offset, struct err *e)
{
    SCOPED(client_answer_done) struct client_answer a = {0};
    SCOPED(freep) char *path = xasprintf("%s?upload=%s", u->url, u->id);
    struct client_request q = {.method = "HEAD", .path = str_of(path)};
    uint64_t n = 0;

    if (client_send(u->c->client, &q, &a, e) < 0) {
        return -1;
    }
    if (a.status >= 400) {
        return client_error(&a, e);
    }
    if (a.upload_offset[0] && (str_to_u64(str_of(a.upload_offset), &n) < 0 || n > INT64_MAX)) {
        return err_set(e, ERR_INVALID, "the server sent a wrong Upload-Offset");
    }
    if ((int64_t)n >= u->size) { /* all bytes came, the end did not: nothing is left to send */
        random_name(u->id, 24);
        n = 0;
    }
    *offset = (int64_t)n;
    return 0;
}

/* Worth another try: the server is away or stuck, or has more bytes than we knew. */
static bool may_go_on(const struct client_answer *a)
{
    return a->status == 503 || a->status == 408 || (a->status == 409 && a->upload_offset[0]);
}

static int send_from(struct upload *u, int64_t offset, struct client_answer *a, struct err *e)
{
    SCOPED(freep) char *path = xasprintf("%s?upload=%s", u->url, u->id);
    SCOPED(freep)
    char *range = xasprintf("Content-Range: bytes %lld-%lld/%lld", (long long)offset,
                            (long long)u->size - 1, (long long)u->size);
    struct client_request q = {.method = "PUT",
                               .path = str_of(u->size > 0 ? path : u->url),
                               .type = "application/octet-stream",
                               .body_fd = u->fd,
                               .body_length = u->size - offset,
                               .headers = {u->size > 0 ? range : NULL},
                               .progress = upload_moved,
                               .ctx = u};

    if (lseek(u->fd, offset, SEEK_SET) < 0) {
        return err_sys(e, "seek");
    }
    u->offset = offset;
    return client_send(u->c->client, &q, a, e);
}

/* A connection that breaks is taken up again where the server stopped. */
int upload_file(struct upload *u, json_t **out, struct err *e)
{
    bool asks = u->is_known;
    int64_t offset = 0;

    for (int tries = 0;; tries++, asks = true) {
        SCOPED(client_answer_done) struct client_answer a = {0};

        if (asks && ask_offset(u, &offset, e) < 0) {
            /* still away: the wait below and the next try */
        } else if (send_from(u, offset, &a, e) == 0) {
            if (a.status >= 400 && !may_go_on(&a)) {
                return client_error(&a, e);
            }
            u->began |= may_go_on(&a);
            if (a.status < 400) {
                *out = json_parse(buf_str(&a.body), e);
                return *out ? 0 : -1;
            }
            (void)client_error(&a, e);
        }
        if (tries == UPLOAD_TRIES || !u->began) {
            return tries > 0 ? err_wrap(e, "gave up after %d tries", tries) : -1;
        }
        if (u->meter->on_terminal) {
            (void)fputc('\n', stderr);
        }
        print_safe(stderr, str_of(e->msg));
        (void)fprintf(stderr, "; going on in a moment\n");
        (void)usleep(RETRY_MS * 1000);
    }
}
