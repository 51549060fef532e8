#include "jobs/shell.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    CHECK_MS = 10 * 1000, /* may he still? pump comes at least as often */
    BLOCK_BYTES = 32 * 1024,
    BLOCKS_AT_ONCE = 8,    /* then the others have a turn */
    INPUT_KEPT = 64 * 1024 /* a larger buffer is given back when it is empty */
};

/* RFC 6455 7.4.1 */
enum close_code { CLOSE_NORMAL = 1000, CLOSE_NOT_TEXT = 1003, CLOSE_POLICY = 1008 };

/* --- life --- */

/* How many are open: of this job, of this user, of all. */
static int count_locked(const struct jobs *j, const struct shell *sh, struct err *e)
{
    size_t all = 0, of_job = 0, of_user = 0;

    lock_assert(&j->lock);
    list_each(it, &j->shells)
    {
        const struct shell *other = list_entry(it, struct shell, link);

        all++;
        of_job += strcmp(other->job, sh->job) == 0;
        of_user += other->who.user_id == sh->who.user_id;
    }
    if (of_job >= LIMIT_JOB_SHELLS) {
        return err_set(e, ERR_THROTTLED, "%d shells are open in job %s: close one first",
                       LIMIT_JOB_SHELLS, sh->job);
    }
    if (of_user >= LIMIT_USER_SHELLS) {
        return err_set(e, ERR_THROTTLED, "%s has %d shells open: close one first", sh->who.name,
                       LIMIT_USER_SHELLS);
    }
    return all >= LIMIT_SHELLS
               ? err_set(e, ERR_THROTTLED, "%d shells are open on this server: try again later",
                         LIMIT_SHELLS)
               : 0;
}

static int enter(struct shell *sh, struct err *e)
{
    struct lock *l = &sh->jobs->lock;
    WITH_LOCK(l);

    if (count_locked(sh->jobs, sh, e) < 0) {
        return -1;
    }
    list_append(&sh->jobs->shells, &sh->link);
    return 0;
}

struct shell *shell_new(struct jobs *j, const struct principal *who, const char *job,
                        struct str project, struct err *e)
{
    struct shell *sh = xnew(struct shell);

    list_init(&sh->link);
    sh->jobs = j;
    sh->who = *who;
    sh->project = str_dup(project);
    sh->opened_ms = sh->checked_ms = clock_mono_ms();
    sh->keeper.fd = sh->in.fd = sh->out.fd = sh->err.fd = -1;
    sh->input = BUF_MAX(LIMIT_SHELL_INPUT_BYTES);
    (void)snprintf(sh->job, sizeof(sh->job), "%s", job);
    if (enter(sh, e) < 0) {
        shell_free(sh);
        return NULL;
    }
    return sh;
}

static void watch(struct shell *sh, struct http_ws_fd *f, unsigned events)
{
    if (sh->ws && f->fd >= 0) {
        http_ws_watch(sh->ws, f, events);
    }
}

static void close_fd(struct shell *sh, struct http_ws_fd *f)
{
    watch(sh, f, 0);
    closep(&f->fd);
    f->fd = -1;
}

static void close_all(struct shell *sh)
{
    close_fd(sh, &sh->in);
    close_fd(sh, &sh->out);
    close_fd(sh, &sh->err);
    close_fd(sh, &sh->keeper); /* ends the process if it still runs */
}

void shell_free(struct shell *sh)
{
    if (sh == NULL) {
        return;
    }
    close_all(sh);
    {
        struct lock *l = &sh->jobs->lock;

        WITH_LOCK(l);
        list_remove(&sh->link);
    }
    buf_done(&sh->input);
    free(sh->project);
    free(sh);
}

void shell_set_process(struct shell *sh, const struct runtime_process *p)
{
    struct winsize usual = {.ws_row = 24, .ws_col = 80};

    sh->keeper.fd = p->keeper;
    sh->in.fd = p->in;
    sh->out.fd = p->out;
    sh->err.fd = p->err;
    if (sh->streams & SHELL_TTY) {
        (void)ioctl(p->in, TIOCSWINSZ, &usual); /* until the client says its own */
    } else if (!(sh->streams & SHELL_IN)) {
        close_fd(sh, &sh->in); /* reads the end of file at once */
    }
}

/* --- the end --- */

static void finish(struct shell *sh, const struct channel_end *end, enum close_code code)
{
    SCOPED(buf_done) struct buf b = BUF_MAX(4 * KIB);

    log_info("job.shell_ended", "job=%s user=%s seconds=%lld why=%s", sh->job, sh->who.name,
             (long long)(clock_mono_ms() - sh->opened_ms) / 1000, Q(str_of(end->message)));
    channel_status_put(&b, end);
    (void)http_ws_send(sh->ws, false, buf_str(&b));
    http_ws_close(sh->ws, code, end->message);
    http_ws_set_intake(sh->ws, HTTP_WS_TAKES); /* its half of the closing handshake */
    close_all(sh);
    sh->closing = true;
}

static void finish_early(struct shell *sh, const char *reason, const char *message,
                         enum close_code code)
{
    finish(sh, &(struct channel_end){.reason = reason, .message = message}, code);
}

static void finish_as_told(struct shell *sh)
{
    const struct runtime_exec_end *end = &sh->end;
    struct channel_end told = {.exit_code = end->code};
    char message[160];

    if (end->container_is_ended) {
        told.reason = "Gone";
        (void)snprintf(message, sizeof(message), "job %s has ended, and with it this shell",
                       sh->job);
    } else if (end->end == RUNTIME_LOST) {
        told.reason = "InternalError";
        (void)snprintf(message, sizeof(message),
                       "the process that held this shell was killed: open another");
    } else if (end->end == RUNTIME_SIGNALED) {
        told.exit_code = 128 + end->code;
        (void)snprintf(message, sizeof(message), "ended by signal %d (SIG%s)", end->code,
                       sigabbrev_np(end->code) ? sigabbrev_np(end->code) : "?");
    } else {
        (void)snprintf(message, sizeof(message), "exit code %d", end->code);
    }
    told.message = message;
    finish(sh, &told, CLOSE_NORMAL);
}

void shell_fail(struct shell *sh, struct http_ws *ws, const struct err *why)
{
    struct channel_end end = {.message = why->msg};

    sh->ws = ws;
    end.reason = why->kind == ERR_INVALID     ? "BadRequest"
                 : why->kind == ERR_CONFLICT  ? "Gone"
                 : why->kind == ERR_THROTTLED ? "TooManyRequests"
                                              : "InternalError";
    finish(sh, &end, CLOSE_NORMAL);
}

/* --- to the process --- */

static void drop_input(struct shell *sh)
{
    buf_clear(&sh->input);
    sh->input_used = 0;
    if (sh->input.cap > INPUT_KEPT) {
        buf_done(&sh->input);
        sh->input = BUF_MAX(LIMIT_SHELL_INPUT_BYTES);
    }
}

/* Behind the last byte: a pipe is closed, a terminal reads what Ctrl-D types. */
static void end_input(struct shell *sh)
{
    sh->input_ends = false;
    if (!(sh->streams & SHELL_TTY)) {
        close_fd(sh, &sh->in);
    } else if (buf_add(&sh->input, STR("\4")) < 0) {
        drop_input(sh);
    }
}

static void write_input(struct shell *sh)
{
    while (sh->in.fd >= 0 && sh->input_used < sh->input.len) {
        ssize_t n = write(sh->in.fd, sh->input.p + sh->input_used, sh->input.len - sh->input_used);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) { /* nobody reads it any more */
            drop_input(sh);
            close_fd(sh, &sh->in);
            return;
        }
        sh->input_used += (size_t)n;
    }
    drop_input(sh);
}

static void push(struct shell *sh)
{
    bool waits;

    write_input(sh);
    if (sh->input_ends && sh->input.len == 0) {
        end_input(sh);
        write_input(sh);
    }
    waits = sh->input.len > 0;
    watch(sh, &sh->in, waits ? HTTP_WS_WRITABLE : 0);
    http_ws_set_intake(sh->ws, waits ? HTTP_WS_PAUSES : HTTP_WS_TAKES);
}

static void take_input(struct shell *sh, struct str bytes)
{
    if (sh->in.fd < 0 || !(sh->streams & SHELL_IN) || sh->input_ends) {
        return;
    }
    if (buf_add(&sh->input, bytes) < 0) {
        finish_early(sh, "BadRequest", "more input at once than a shell takes", CLOSE_POLICY);
        return;
    }
    push(sh);
}

static void resize(struct shell *sh, const struct channel_message *m)
{
    struct winsize size = {.ws_row = m->height, .ws_col = m->width};

    if (sh->streams & SHELL_TTY && sh->in.fd >= 0) {
        (void)ioctl(sh->in.fd, TIOCSWINSZ, &size);
    }
}

static void on_message(void *ctx, struct http_ws *ws, bool is_text, struct str message)
{
    struct shell *sh = ctx;
    struct channel_message m;
    struct err e;

    sh->ws = ws;
    if (sh->closing) {
        return;
    }
    if (is_text) {
        finish_early(sh, "BadRequest", "messages of a shell are binary: a channel, then bytes",
                     CLOSE_NOT_TEXT);
        return;
    }
    if (channel_parse(message, sh->version, &m, &e) < 0) {
        finish_early(sh, "BadRequest", e.msg, CLOSE_POLICY);
    } else if (m.channel == CHANNEL_IN) {
        take_input(sh, m.bytes);
    } else if (m.channel == CHANNEL_RESIZE) {
        resize(sh, &m);
    } else if (m.closed == CHANNEL_IN && sh->in.fd >= 0) {
        sh->input_ends = true;
        push(sh);
    }
}

/* --- from the process --- */

/* EIO: nobody holds the terminal any more. True when there was something. */
static bool read_block(struct shell *sh, struct http_ws_fd *f, enum channel channel,
                       enum shell_streams wanted)
{
    char block[BLOCK_BYTES];
    size_t len = 1;
    ssize_t n = 1;

    block[0] = (char)channel;
    while (len < sizeof(block) && (n = read(f->fd, block + len, sizeof(block) - len)) > 0) {
        len += (size_t)n; /* a terminal gives 4 KiB at a time */
    }
    if (len > 1 && sh->streams & wanted) {
        (void)http_ws_send(sh->ws, false, str_n(block, len));
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(sh, f);
    }
    return len > 1;
}

/* True when nothing is left for now. */
static bool pull(struct shell *sh, struct http_ws_fd *f, enum channel channel,
                 enum shell_streams wanted)
{
    for (int i = 0; i < BLOCKS_AT_ONCE && f->fd >= 0; i++) {
        if (http_ws_room(sh->ws) == 0) {
            watch(sh, f, 0);
            return false;
        }
        if (!read_block(sh, f, channel, wanted)) {
            break;
        }
        if (i == BLOCKS_AT_ONCE - 1) {
            watch(sh, f, HTTP_WS_READABLE);
            return false;
        }
    }
    watch(sh, f, HTTP_WS_READABLE);
    return true;
}

static bool may_still(struct shell *sh)
{
    const struct jobs_hooks *h = &sh->jobs->parts.hooks;
    int64_t now_ms = clock_mono_ms();

    if (now_ms - sh->checked_ms < CHECK_MS) {
        return true;
    }
    sh->checked_ms = now_ms;
    return h->still_may(h->ctx, &sh->who, PERM_JOB_EXEC, str_of(sh->project));
}

/* The end is looked for first: what the process wrote before it is there then. */
static void pump(void *ctx, struct http_ws *ws)
{
    struct shell *sh = ctx;
    bool is_empty;

    sh->ws = ws;
    if (sh->closing) {
        return;
    }
    if (!may_still(sh)) {
        finish_early(sh, "Forbidden",
                     "you are signed out, or may not open shells in this project any more",
                     CLOSE_POLICY);
        return;
    }
    if (!sh->has_end) {
        sh->has_end = runtime_exec_end_read(sh->keeper.fd, &sh->end) > 0;
        watch(sh, &sh->keeper, sh->has_end ? 0 : HTTP_WS_READABLE);
    }
    push(sh);
    is_empty = pull(sh, &sh->out, CHANNEL_OUT, SHELL_OUT);
    is_empty &= pull(sh, &sh->err, CHANNEL_ERR, SHELL_ERR);
    if (sh->has_end && is_empty) {
        finish_as_told(sh);
    }
}

static void on_close(void *ctx)
{
    struct shell *sh = ctx;

    if (!sh->closing) {
        log_info("job.shell_ended", "job=%s user=%s seconds=%lld why=\"the client is gone\"",
                 sh->job, sh->who.name, (long long)(clock_mono_ms() - sh->opened_ms) / 1000);
    }
    shell_free(sh);
}

const struct http_ws_ops shell_ops = {on_message, pump, on_close};
