/* What a node left: its log, the files of its ports, their previews. */
#include "pipeline/pipeline_priv.h"

#include "base/limits.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <string.h>
#include <unistd.h>

#define PART_BYTES (16 * MIB) /* of a log */

struct wanted {
    int64_t project_id, id;
    struct arena *a;
    struct run_row run;
    struct node_row *nodes;
    size_t n;
    const struct node_row *node;
    const struct port *port;
    const char *volume;
};

static int wanted_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct wanted *x = ctx;

    return run_store_get(db, x->project_id, x->id, x->a, &x->run, e) < 0
               ? -1
               : run_store_nodes(db, x->id, x->a, &x->nodes, &x->n, e);
}

static int find_node(struct http_req *r, struct wanted *x, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct str name = http_path_param(r, "node");
    uint64_t id = 0;

    *x = (struct wanted){.a = &r->arena};
    if (str_to_u64(http_path_param(r, "id"), &id) < 0 || id > INT64_MAX) {
        id = 0; /* there is none */
    }
    x->id = (int64_t)id;
    if (studio_project(r, &x->project_id, e) < 0 ||
        state_read(s->parts.state, wanted_fn, x, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x->n; i++) {
        if (str_eq_c(name, x->nodes[i].node)) {
            x->node = &x->nodes[i];
            return 0;
        }
    }
    return err_set(e, ERR_NOT_FOUND, "the run has no node '%.*s'", STR_ARG(str_first(name, 70)));
}

static int read_part(int fd, int64_t from, int64_t to, struct buf *out, struct err *e)
{
    char piece[16 * 1024];

    while (from < to && !out->failed) {
        size_t want = to - from < (int64_t)sizeof(piece) ? (size_t)(to - from) : sizeof(piece);
        ssize_t got = pread(fd, piece, want, from);

        if (got <= 0) {
            return got < 0 ? err_sys(e, "the log") : 0;
        }
        (void)buf_add(out, str_n(piece, (size_t)got));
        from += got;
    }
    return out->failed
               ? err_set(e, ERR_LIMIT, "the log is longer than %llu bytes: see that of its job",
                         (unsigned long long)PART_BYTES)
               : 0;
}

/* Of a step that shared its container, its part. */
static int send_log(struct http_req *r, const struct wanted *x, int fd, struct err *e)
{
    static const char type[] = "text/plain; charset=utf-8";
    SCOPED(buf_done) struct buf part = BUF_MAX(PART_BYTES);
    int64_t from = 0, to = lseek(fd, 0, SEEK_END);

    if (x->node->image == NULL) {
        progress_section(fd, x->node->node, &from, &to);
    }
    if (from == 0) {
        return http_reply_file(r, &(struct http_file){.fd = fd, .size_bytes = to, .type = type}, e);
    }
    return read_part(fd, from, to, &part, e) < 0 ? -1 : http_reply(r, 200, type, buf_str(&part), e);
}

int node_log_get(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct wanted x;
    struct jobs_look look;
    int rc;

    if (find_node(r, &x, e) < 0) {
        return -1;
    }
    if (x.node->job == NULL) {
        return err_set(e, ERR_NOT_FOUND, "the node %s has no log: no step of it ran in this run",
                       x.node->node);
    }
    if (jobs_look(s->parts.jobs, x.project_id, str_of(x.node->job), &r->arena, &look, e) < 0) {
        if (e->kind == ERR_NOT_FOUND && str_starts(str_of(x.node->module), STR("import_"))) {
            return http_reply(r, 200, "text/plain; charset=utf-8",
                              STR("The server brought this itself: no container ran.\n"), e);
        }
        return err_wrap(e, "the log of %s", x.node->node);
    }
    if (look.log_fd < 0) {
        return http_reply(r, 200, "text/plain; charset=utf-8", STR_EMPTY, e);
    }
    rc = send_log(r, &x, look.log_fd, e);
    (void)close(look.log_fd);
    return rc;
}

static int find_port(struct http_req *r, struct wanted *x, struct err *e)
{
    SCOPED(err_list_done) struct err_list wrong = {0};
    struct str name = http_path_param(r, "port");
    const struct catalog_module *m;
    struct catalog catalog;
    struct doc d;

    if (find_node(r, x, e) < 0 || doc_parse(x->a, str_of(x->run.document), &d, &wrong, e) < 0 ||
        studio_catalog_of_run(r->ctx, &x->run, &d, x->a, &catalog, e) < 0) {
        return -1;
    }
    x->volume = d.volume;
    m = catalog_find(&catalog, str_of(x->node->module));
    for (const struct port *p = m ? m->table->outputs : NULL; p && p->name; p++) {
        if (str_eq_c(name, p->name)) {
            x->port = p;
            return node_state_good(x->node->state)
                       ? 0
                       : err_set(e, ERR_NOT_FOUND, "the node %s has no outputs: it is %s",
                                 x->node->node, node_state_name(x->node->state));
        }
    }
    return err_set(e, ERR_NOT_FOUND, "the node %s has no output '%.*s'", x->node->node,
                   STR_ARG(str_first(name, 70)));
}

static int send_file(struct http_req *r, const struct wanted *x, const char *path, const char *type,
                     const char *filename, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct volume_ref ref = {x->project_id, str_of(x->volume)};
    struct volume_file_info f;
    int rc;

    if (volume_file_open(s->parts.volumes, &ref, str_of(path), VOLUME_LINKS_REFUSED, &f, e) < 0) {
        return err_wrap(e, "the output of %s", x->node->node);
    }
    rc = http_reply_file(r,
                         &(struct http_file){.fd = f.fd,
                                             .size_bytes = f.size_bytes,
                                             .type = type,
                                             .modified_ms = f.modified_ns / 1000000,
                                             .filename = filename},
                         e);
    (void)close(f.fd);
    return rc;
}

int node_output_get(struct http_req *r, struct err *e)
{
    struct wanted x;
    const char *suffix;

    if (find_port(r, &x, e) < 0) {
        return -1;
    }
    suffix = step_suffix(x.port->type);
    return send_file(
        r, &x, arena_printf(&r->arena, STUDIO_DIR "/%s/%s%s", x.node->key, x.port->name, suffix),
        x.port->type == VALUE_REPORT ? "application/json" : "application/octet-stream",
        arena_printf(&r->arena, "%s-%s%s", x.node->node, x.port->name, suffix), e);
}

/* A report is its own preview when nobody wrote another. */
int node_preview_get(struct http_req *r, struct err *e)
{
    struct wanted x;
    struct err none;

    if (find_port(r, &x, e) < 0) {
        return -1;
    }
    if (send_file(
            r, &x,
            arena_printf(&r->arena, STUDIO_DIR "/%s/%s.preview.json", x.node->key, x.port->name),
            "application/json", NULL, &none) == 0) {
        return 0;
    }
    if (none.kind != ERR_NOT_FOUND || x.port->type != VALUE_REPORT) {
        *e = none;
        return -1;
    }
    return node_output_get(r, e);
}
