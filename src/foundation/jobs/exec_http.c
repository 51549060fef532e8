#include "jobs/exec_http.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/shell.h"

#include <string.h>
#include <unistd.h>

/* --- what is asked for: the query of Kubernetes' exec --- */

static int take_flag(const struct http_req *r, const char *name, unsigned bit, unsigned *streams,
                     struct err *e)
{
    struct str v = http_query(r, name);

    if (v.p == NULL) {
        return 0;
    }
    if (str_eq_c(v, "true") || str_eq_c(v, "1")) {
        *streams |= bit;
        return 0;
    }
    if (str_eq_c(v, "false") || str_eq_c(v, "0") || v.len == 0) {
        *streams &= ~bit;
        return 0;
    }
    return err_set(e, ERR_INVALID, "?%s=%.*s is neither true nor false", name,
                   STR_ARG(str_first(v, 20)));
}

static int take_streams(const struct http_req *r, unsigned *out, struct err *e)
{
    unsigned streams = SHELL_OUT | SHELL_ERR;

    if (take_flag(r, "tty", SHELL_TTY, &streams, e) < 0 ||
        take_flag(r, "stdin", SHELL_IN, &streams, e) < 0 ||
        take_flag(r, "stdout", SHELL_OUT, &streams, e) < 0 ||
        take_flag(r, "stderr", SHELL_ERR, &streams, e) < 0) {
        return -1;
    }
    if (!(streams & (SHELL_IN | SHELL_OUT | SHELL_ERR))) {
        return err_set(e, ERR_INVALID, "ask for one of stdin, stdout and stderr at least");
    }
    *out = streams;
    return 0;
}

/* ?command=ls&command=-l; none: a shell. The engine has refused %00. */
static int take_command(struct http_req *r, const char *const **out, struct err *e)
{
    const char **args = arena_new_array(&r->arena, const char *, r->n_query + 1);
    SCOPED(buf_done) struct buf note = BUF_MAX(LIMIT_TARGET_BYTES * 2);
    size_t n = 0;

    for (size_t i = 0; i < r->n_query; i++) {
        struct str v = r->query[i].value;

        if (!str_eq_c(r->query[i].name, "command")) {
            continue;
        }
        args[n++] = arena_strdup(&r->arena, v);
        buf_printf(&note, "%s%.*s", n > 1 ? " " : "", STR_ARG(v));
    }
    if (n > 0 && args[0][0] == '\0') {
        return err_set(e, ERR_INVALID, "the command has no name");
    }
    r->audit_note = n > 0 ? arena_str(&r->arena, buf_str(&note)) : STR("(shell)");
    *out = args;
    return 0;
}

/* --- which job --- */

struct lookup {
    int64_t project_id;
    struct str id;
    struct arena *arena;
    struct job_row row;
};

static int look_up(struct state_db *db, void *ctx, struct err *e)
{
    struct lookup *k = ctx;

    return job_store_get(db, k->project_id, k->id, k->arena, &k->row, e);
}

static int check_state(const struct job_row *row, struct err *e)
{
    switch (row->state) {
    case JOB_RUNNING:
        return 0;
    case JOB_QUEUED:
        return err_set(e, ERR_CONFLICT,
                       "job %s waits in the queue: a shell can be opened once it runs", row->id);
    case JOB_STARTING:
        return err_set(e, ERR_CONFLICT, "job %s is being started: try again in a moment", row->id);
    default:
        return err_set(e, ERR_CONFLICT,
                       "job %s has ended (%s): there is nothing to open a shell in; its output is "
                       "in its log (strata job logs)",
                       row->id, job_state_name(row->state));
    }
}

static int find_running(struct http_req *r, struct job_row *row, struct err *e)
{
    struct jobs *j = r->ctx;
    const struct jobs_hooks *h = &j->parts.hooks;
    struct lookup k = {.id = http_path_param(r, "id"), .arena = &r->arena};
    uint32_t id_base;

    if (h->project(h->ctx, r->project, &k.project_id, &id_base, e) < 0 ||
        state_read(j->parts.state, look_up, &k, e) < 0 || check_state(&k.row, e) < 0) {
        return -1;
    }
    if (j->engine->exec == NULL) {
        return err_set(e, ERR_UNSUPPORTED, "job %s runs on %s, where no shells can be opened yet",
                       k.row.id, j->engine->name);
    }
    *row = k.row;
    return 0;
}

/* --- opening it --- */

static int start(struct jobs *j, struct shell *sh, const struct job_row *row,
                 const char *const *args, struct err *e)
{
    struct runtime_process p;
    char container[65];
    struct runtime_exec x = {
        .id = container,
        .args = args,
        .terminal = sh->streams & SHELL_TTY ? RUNTIME_TTY : RUNTIME_PIPES,
    };

    job_container_id(row->id, row->attempt, row->tries, container);
    if (j->engine->exec(j->engine_ctx, &x, &p, e) < 0) {
        return -1;
    }
    shell_set_process(sh, &p);
    return 0;
}

/* A browser does not show its page what a refused handshake says: a start that failed is told over
 * the WebSocket, as Kubernetes does. */
static int open_shell(struct http_req *r, const struct job_row *row, const char *const *args,
                      unsigned streams, const char *protocol, struct err *e)
{
    struct jobs *j = r->ctx;
    struct shell *sh = shell_new(j, &r->who, row->id, r->project, e);
    struct http_ws *ws;
    struct err why;
    int rc;

    if (sh == NULL) {
        return -1;
    }
    sh->streams = streams;
    sh->version = channel_version_of(protocol);
    rc = start(j, sh, row, args, &why);
    if (http_upgrade_websocket(r, protocol, &shell_ops, sh, &ws, e) < 0) {
        shell_free(sh);
        return -1;
    }
    log_info("job.shell_opened", "job=%s user=%s tty=%d command=%s", row->id, r->who.name,
             (streams & SHELL_TTY) != 0, Q(str_first(r->audit_note, 200)));
    if (rc < 0) {
        shell_fail(sh, ws, &why);
    }
    return 0;
}

int job_exec_get(struct http_req *r, struct err *e)
{
    const char *protocol = http_ws_subprotocol(r, channel_protocols);
    const char *const *args;
    struct job_row row;
    unsigned streams;

    if (take_command(r, &args, e) < 0 || take_streams(r, &streams, e) < 0 ||
        find_running(r, &row, e) < 0 || http_check_websocket(r, e) < 0) {
        return -1;
    }
    if (protocol == NULL) {
        return err_set(e, ERR_INVALID,
                       "ask for the subprotocol v5.channel.k8s.io or v4.channel.k8s.io "
                       "(Sec-WebSocket-Protocol): this address speaks no other");
    }
    return open_shell(r, &row, args, streams, protocol, e);
}
