/* strata job exec: a shell or a command in a running job, as if it were here. */
#include "main/cli/cli.h"

#include "base/fs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* The channels of docs/formats/exec.md. */
enum { CHANNEL_IN, CHANNEL_OUT, CHANNEL_ERR, CHANNEL_STATUS, CHANNEL_RESIZE, CHANNEL_CLOSE = 255 };
enum { BLOCK = 32 * 1024, LOOK_MS = 5000 };

struct remote {
    struct cli *cli;
    struct websocket *ws;
    bool tty;
    int input;   /* standard input, -1 after its end */
    int resized; /* signalfd of SIGWINCH */
    bool output_failed;
    json_t *status;
};

/* --- the terminal here --- */

static struct termios usual_terminal;

static void restore_terminal(void)
{
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &usual_terminal);
}

static void restore_and_die(int sig)
{
    restore_terminal();
    _exit(128 + sig);
}

/* Every key goes to the other end, Ctrl-C too. */
static int make_raw(struct err *e)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &usual_terminal) < 0) {
        return err_set(e, ERR_INVALID, "standard input is no terminal: leave -t out, or give -T");
    }
    raw = usual_terminal;
    cfmakeraw(&raw);
    (void)atexit(restore_terminal);
    (void)signal(SIGTERM, restore_and_die);
    (void)signal(SIGHUP, restore_and_die);
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0 ? err_sys(e, "the terminal") : 0;
}

static int watch_size(void)
{
    sigset_t change;

    (void)sigemptyset(&change);
    (void)sigaddset(&change, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &change, NULL);
    return signalfd(-1, &change, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void send_size(struct remote *r)
{
    struct winsize size = {0};
    char text[64];
    int n;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) {
        return;
    }
    n = snprintf(text, sizeof(text), "%c{\"Width\":%u,\"Height\":%u}", CHANNEL_RESIZE, size.ws_col,
                 size.ws_row);
    websocket_send(r->ws, str_n(text, (size_t)n));
}

/* --- moving bytes --- */

static void take_message(void *ctx, struct str message)
{
    struct remote *r = ctx;
    struct str bytes = str_from(message, 1);
    unsigned channel = message.len > 0 ? (unsigned char)message.p[0] : CHANNEL_CLOSE;
    struct err ignored;

    if (channel == CHANNEL_OUT || channel == CHANNEL_ERR) {
        r->output_failed |= fs_write_all(channel == CHANNEL_OUT ? STDOUT_FILENO : STDERR_FILENO,
                                         bytes, &ignored) < 0;
    } else if (channel == CHANNEL_STATUS && r->status == NULL) {
        r->status = json_parse(bytes, &ignored);
    }
}

static void send_input(struct remote *r)
{
    static const char end[] = {(char)CHANNEL_CLOSE, CHANNEL_IN};
    char block[BLOCK];
    ssize_t n = read(r->input, block + 1, sizeof(block) - 1);

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        r->input = -1;
        websocket_send(r->ws, str_n(end, sizeof(end)));
        return;
    }
    block[0] = CHANNEL_IN;
    websocket_send(r->ws, str_n(block, (size_t)n + 1));
}

/* One round; 0 when the other end has closed. Input waits while some is on its way. */
static int serve(struct remote *r, struct err *e)
{
    bool is_sending = websocket_has_to_send(r->ws);
    struct pollfd p[3] = {
        {.fd = websocket_fd(r->ws), .events = (short)(POLLIN | (is_sending ? POLLOUT : 0))},
        {.fd = is_sending ? -1 : r->input, .events = POLLIN},
        {.fd = r->resized, .events = POLLIN}};

    (void)poll(p, 3, LOOK_MS);
    if (p[2].revents) {
        struct signalfd_siginfo taken;

        (void)!read(r->resized, &taken, sizeof(taken));
        send_size(r);
    }
    if (p[1].revents) {
        send_input(r);
    }
    if (r->output_failed) {
        return err_set(e, ERR_IO, "the output cannot be written");
    }
    return websocket_serve(r->ws, e);
}

/* --- the end --- */

static int exit_code_of(const json_t *status)
{
    const json_t *causes = json_object_get(json_object_get(status, "details"), "causes");
    const json_t *cause;
    size_t i;

    json_array_foreach(causes, i, cause)
    {
        if (strcmp(json_text(cause, "reason"), "ExitCode") == 0) {
            uint64_t code = 0;

            return str_to_u64(str_of(json_text(cause, "message")), &code) == 0 ? (int)(code & 255)
                                                                               : -1;
        }
    }
    return -1;
}

static int judge(struct remote *r, struct err *e)
{
    static const struct {
        const char *reason;
        enum err_kind kind;
    } kinds[] = {{"Gone", ERR_CONFLICT},
                 {"Forbidden", ERR_FORBIDDEN},
                 {"BadRequest", ERR_INVALID},
                 {"TooManyRequests", ERR_THROTTLED}};
    const char *reason = json_text(r->status, "reason");
    int code = exit_code_of(r->status);

    if (r->status == NULL) {
        return err_set(e, ERR_UNAVAILABLE, "the server has ended this: %s",
                       websocket_close_reason(r->ws)[0] ? websocket_close_reason(r->ws)
                                                        : "it is being stopped or restarted");
    }
    if (strcmp(json_text(r->status, "status"), "Success") == 0 || code >= 0) {
        r->cli->exit_code = code > 0 ? code : 0;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(reason, kinds[i].reason) == 0) {
            return err_set(e, kinds[i].kind, "%s", json_text(r->status, "message"));
        }
    }
    return err_set(e, ERR_UNAVAILABLE, "%s", json_text(r->status, "message"));
}

static int serve_to_end(struct remote *r, struct err *e)
{
    int rc;

    if (r->tty) {
        send_size(r);
    }
    while ((rc = serve(r, e)) > 0) {
    }
    /* What a cut connection has told before is the end nevertheless. */
    return rc < 0 && r->status == NULL ? -1 : judge(r, e);
}

/* --- the verb --- */

static bool wants_terminal(const struct cli *c)
{
    if (cli_option(c, "tty") || cli_option(c, "no-tty")) {
        return cli_option(c, "no-tty") == NULL;
    }
    return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
}

static char *path_of(const struct cli *c, bool tty)
{
    struct buf b = BUF_MAX(1024 * 1024);

    buf_printf(&b, "/api/v1/projects/%s/jobs/%s/exec?stdin=true&tty=%s", url_segment(c->project),
               url_segment(cli_arg(c, 0)), tty ? "true" : "false");
    for (size_t i = 1; i < c->args.len; i++) {
        buf_printf(&b, "&command=%s", url_segment(cli_arg(c, i)));
    }
    return buf_take(&b);
}

int verb_job_exec(struct cli *c, struct err *e)
{
    struct remote r = {.cli = c, .tty = wants_terminal(c), .input = STDIN_FILENO, .resized = -1};
    SCOPED(freep) char *path = path_of(c, r.tty);
    int rc;

    (void)signal(SIGPIPE, SIG_IGN);
    r.ws = websocket_open(c->client, str_of(path), "v5.channel.k8s.io", take_message, &r, e);
    if (r.ws == NULL || (r.tty && make_raw(e) < 0)) {
        websocket_close(r.ws);
        return -1;
    }
    if (r.tty) {
        r.resized = watch_size();
    }
    rc = serve_to_end(&r, e);
    if (r.tty) {
        restore_terminal();
    }
    websocket_close(r.ws);
    json_decref(r.status);
    return rc;
}
