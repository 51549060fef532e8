#include "pipeline/node_import.h"

#include "pipeline/importer.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>

bool node_is_import(const struct run *r, const struct run_node *n)
{
    return (run_module(r, n)->flags & MODULE_NETWORK) != 0;
}

const char *node_import_why(const struct run *r, const struct run_node *n)
{
    return node_is_import(r, n) && *step_param_named(r, n, "sha256") == '\0'
               ? "a step that reads the network is run each time"
               : NULL;
}

/* The port that rows come by: of modules that read what was brought in a job. */
static const struct port *rows_port(const struct run *r, const struct run_node *n)
{
    const struct port *p = run_module(r, n)->inputs;

    return node_is_import(r, n) && p->name && (p->flags & PORT_HIDDEN) ? p : NULL;
}

static const char *rows_dir(struct arena *a, const struct run_node *n)
{
    return arena_printf(a, STUDIO_DIR "/tmp/%s-rows", n->row.job);
}

static const char *target(struct arena *a, const struct run *r, const struct run_node *n)
{
    const struct port *rows = rows_port(r, n), *out = run_module(r, n)->outputs;

    return rows ? arena_printf(a, "%s/%s.bin", rows_dir(a, n), rows->name)
                : arena_printf(a, "%s/%s%s", step_tmp_dir(a, n), out->name, step_suffix(out->type));
}

static int begin(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    const struct module *m = run_module(r, n);
    struct import_value values[MODULE_PARAMS];
    size_t n_values = 0;
    struct err why;

    for (size_t i = 0; m->params[i].name; i++) {
        values[n_values++] =
            (struct import_value){m->params[i].name, step_param_named(r, n, m->params[i].name)};
    }
    if (outputs_prepare(s, r, n, &why) < 0) {
        return node_failed_before(s, r, n, &why, e);
    }
    importer_begin(s->importer, &(struct importer_job){.id = n->row.job,
                                                       .project_id = r->row.project_id,
                                                       .volume = r->doc.volume,
                                                       .path = target(&a, r, n),
                                                       .module = m->name,
                                                       .values = values,
                                                       .n_values = n_values});
    return 0;
}

void node_import_clean(struct pipelines *s, const struct run *r, const struct run_node *n)
{
    SCOPED(arena_done) struct arena a = {0};
    struct volume_ref ref = run_volume(r);
    struct err ignored; /* what stays is seen, and in nobody's way */

    if (rows_port(r, n)) {
        (void)!volume_remove(s->parts.volumes, &ref, str_of(rows_dir(&a, n)), &ignored);
    }
}

/* --- while it runs --- */

static void amount(const struct importer_look *look, char *out, size_t size)
{
    bool is_small = look->bytes < 10 * 1000 * 1000;
    long long n = (long long)look->bytes / (is_small ? 1000 : 1000000);

    if (look->rows >= 0) {
        (void)snprintf(out, size, is_small ? "%lld rows, %lld kB" : "%lld rows, %lld MB",
                       (long long)look->rows, n);
    } else {
        (void)snprintf(out, size, is_small ? "%lld kB" : "%lld MB", n);
    }
}

static void tell(struct pipelines *s, struct run *r, struct run_node *n,
                 const struct importer_look *look)
{
    char text[sizeof(n->text)];
    struct lock *l = &s->lock;
    bool is_new;

    if (look->text[0]) {
        (void)snprintf(text, sizeof(text), "%s", look->text);
    } else {
        amount(look, text, sizeof(text));
    }
    {
        WITH_LOCK(l);
        is_new = strcmp(text, n->text) != 0;
        memcpy(n->text, text, sizeof(text));
    }
    if (is_new) {
        run_events_node(s, r, n);
    }
}

static int goes_on(struct pipelines *s, struct run *r, struct run_node *n,
                   const struct importer_look *look, struct err *e)
{
    struct node_row before = n->row;

    if (r->row.is_stopping) {
        importer_stop(s->importer, n->row.job);
    }
    if (look->state == IMPORTER_WAITS) {
        return 0;
    }
    tell(s, r, n, look);
    if (n->row.state == NODE_RUNNING) {
        return 0;
    }
    n->row.state = NODE_RUNNING;
    return node_change(s, r, n, before, e);
}

/* --- its end --- */

static int give_up(struct pipelines *s, struct run *r, struct run_node *n, enum node_state state,
                   const char *why, struct err *e)
{
    outputs_drop(s, r, n);
    node_import_clean(s, r, n);
    return node_end(s, r, n, state, why, why ? "network" : NULL, e);
}

/* No job reads them: unless it is tried again, they go. */
static int rows_unread(struct pipelines *s, struct run *r, struct run_node *n, struct err *why,
                       struct err *e)
{
    if (!step_error_passes(why)) {
        outputs_drop(s, r, n);
        node_import_clean(s, r, n);
    }
    return node_failed_before(s, r, n, why, e);
}

/* Rows are read by a job; a file is what the step made. */
static int came(struct pipelines *s, struct run *r, struct run_node *n,
                const struct importer_look *look, struct err *e)
{
    const struct step_group g = {.nodes = {n}, .n = 1};
    SCOPED(arena_done) struct arena a = {0};
    /* whose row may forget the job, while its directory is still there */
    struct run_node job = {
        .row = {.job = arena_strdup(&a, str_of(n->row.job)), .node = n->row.node}};
    struct err why;

    if (r->row.is_stopping) {
        return give_up(s, r, n, NODE_CANCELLED, NULL, e);
    }
    if (rows_port(r, n)) {
        return step_memory(s, r, n, look->bytes, &why) == 0 &&
                       group_submit(s, r, &g, look->bytes, &why) == 0
                   ? 0
                   : rows_unread(s, r, n, &why, e);
    }
    if (node_made(s, r, n, e) < 0) {
        return -1;
    }
    if (node_state_ended(n->row.state)) {
        outputs_drop(s, r, &job);
    }
    return 0;
}

/* Stopped although nobody asked for it: the server ends, and it begins anew after it. */
static int failed(struct pipelines *s, struct run *r, struct run_node *n,
                  const struct importer_look *look, struct err *e)
{
    if (look->err.kind != ERR_CONFLICT) {
        return give_up(s, r, n, NODE_FAILED, look->err.msg, e);
    }
    return r->row.is_stopping ? give_up(s, r, n, NODE_CANCELLED, NULL, e) : 0;
}

int node_import(struct pipelines *s, struct run *r, struct run_node *n, struct err *e)
{
    struct importer_look look;
    char job[STEP_JOB_ID];
    int rc;

    importer_look(s->importer, n->row.job, &look);
    if (look.state == IMPORTER_UNKNOWN) {
        return r->row.is_stopping ? give_up(s, r, n, NODE_CANCELLED, NULL, e) : begin(s, r, n, e);
    }
    if (look.state != IMPORTER_DONE) {
        return goes_on(s, r, n, &look, e);
    }
    (void)snprintf(job, sizeof(job), "%s", n->row.job);
    rc = look.err.kind == ERR_NONE ? came(s, r, n, &look, e) : failed(s, r, n, &look, e);
    if (rc == 0 && (n->is_submitted || node_state_ended(n->row.state))) {
        importer_forget(s->importer, job);
    }
    return rc;
}

/* --- the job that reads the rows --- */

void node_import_words(const struct run *r, const struct run_node *n, struct jw *w)
{
    const struct port *rows = rows_port(r, n);
    char word[100];

    if (rows) {
        (void)snprintf(word, sizeof(word), "%s=/in/%s/%s.bin", rows->name, rows->name, rows->name);
        jw_str(w, STR("--in"));
        jw_str(w, str_of(word));
    }
}

void node_import_mount(const struct run *r, const struct run_node *n, struct arena *a, struct jw *w)
{
    const struct port *rows = rows_port(r, n);

    if (rows) {
        step_mount(w, str_of(r->doc.volume), arena_printf(a, "/in/%s", rows->name), "ro",
                   rows_dir(a, n));
    }
}
