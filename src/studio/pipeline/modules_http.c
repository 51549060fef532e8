/* The routes of modules: those built in, and the containers that a project brings. */
#include "pipeline/pipeline_priv.h"

#include "access/access.h"
#include "algorithms/manifest.h"
#include "algorithms/modules/modules.h"
#include "base/limits.h"
#include "pipeline/component.h"

#include <string.h>

#define ANSWER_BYTES (16 * MIB)

struct all {
    int64_t project_id;
    struct arena *a;
    struct module_row *rows;
    size_t n;
    struct str name;
    struct module_row put;
    bool may_run; /* else one that a schedule uses is not changed */
};

static int list_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct all *x = ctx;

    return module_store_list(db, x->project_id, x->a, &x->rows, &x->n, e);
}

static bool names_module(const struct doc *d, const char *name)
{
    for (size_t i = 0; d && i < d->n_nodes; i++) {
        if (strcmp(d->nodes[i].module, name) == 0) {
            return true;
        }
    }
    return d == NULL;
}

int studio_catalog(struct pipelines *s, int64_t project_id, const struct doc *d, struct arena *a,
                   struct catalog *out, struct err *e)
{
    struct all x = {.project_id = project_id, .a = a};

    catalog_built_in(a, out);
    if (state_read(s->parts.state, list_fn, &x, e) < 0) {
        return -1;
    }
    out->own = arena_new_array(a, struct catalog_module, x.n + 1);
    out->own_names = arena_new_array(a, const char *, x.n + 1);
    for (size_t i = 0; i < x.n; i++) {
        out->own_names[out->n_own_names++] = x.rows[i].name;
    }
    for (size_t i = 0; i < x.n; i++) {
        SCOPED(err_list_done) struct err_list wrong = {0};
        struct component *c = arena_new(a, struct component);
        struct err ignored; /* it was read when it came */

        if (names_module(d, x.rows[i].name) &&
            component_parse(a, str_of(x.rows[i].name), str_of(x.rows[i].component), c, &wrong,
                            &ignored) == 0) {
            out->own[out->n_own++] = (struct catalog_module){&c->table, c, x.rows[i].component};
        }
    }
    return 0;
}

int studio_catalog_of_run(struct pipelines *s, const struct run_row *run, const struct doc *d,
                          struct arena *a, struct catalog *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *kept = run->modules ? json_parse(str_of(run->modules), e) : NULL;
    const char *name;
    const json_t *text;

    if (run->modules == NULL) {
        return studio_catalog(s, run->project_id, d, a, out, e);
    }
    if (kept == NULL) {
        return -1;
    }
    catalog_built_in(a, out);
    out->own = arena_new_array(a, struct catalog_module, json_object_size(kept) + 1);
    out->own_names = arena_new_array(a, const char *, json_object_size(kept) + 1);
    json_object_foreach(kept, name, text)
    {
        SCOPED(err_list_done) struct err_list wrong = {0};
        struct component *c = arena_new(a, struct component);
        const char *own = arena_strdup(a, str_of(json_string_value(text)));

        out->own_names[out->n_own_names++] = arena_strdup(a, str_of(name));
        if (component_parse(a, str_of(out->own_names[out->n_own_names - 1]), str_of(own), c, &wrong,
                            e) < 0) {
            return err_wrap(e, "module %s", name);
        }
        out->own[out->n_own++] = (struct catalog_module){&c->table, c, own};
    }
    return 0;
}

int modules_built_in_get(struct http_req *r, struct err *e)
{
    struct buf out = BUF_MAX(ANSWER_BYTES);

    manifest_json(modules_all, NULL, &out);
    return studio_reply(r, 200, &out, 0, e);
}

int modules_get(struct http_req *r, struct err *e)
{
    struct buf out = BUF_MAX(ANSWER_BYTES);
    const struct module **tables;
    struct catalog all;
    int64_t project_id;
    size_t n = 0;

    if (studio_project(r, &project_id, e) < 0 ||
        studio_catalog(r->ctx, project_id, NULL, &r->arena, &all, e) < 0) {
        return -1;
    }
    tables = arena_new_array(&r->arena, const struct module *, all.n_built_in + all.n_own + 1);
    for (size_t i = 0; i < all.n_built_in; i++) {
        tables[n++] = all.built_in[i].table;
    }
    for (size_t i = 0; i < all.n_own; i++) {
        tables[n++] = all.own[i].table;
    }
    manifest_json(tables, NULL, &out);
    return studio_reply(r, 200, &out, 0, e);
}

/* What runs by the clock, runs under the name of whoever set it. */
static int check_schedules(struct state_db *db, const struct all *x, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    const char *pipeline;

    if (x->may_run) {
        return 0;
    }
    if (module_store_scheduled(db, x->project_id, x->name, &a, &pipeline, e) < 0) {
        return -1;
    }
    return pipeline == NULL ? 0
                            : err_set(e, ERR_FORBIDDEN,
                                      "the pipeline %s uses it and runs by the clock, so that"
                                      " whoever changes it needs pipeline:run too",
                                      pipeline);
}

static int put_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct all *x = ctx;

    return check_schedules(db, x, e) < 0 ? -1 : module_store_put(db, x->project_id, &x->put, e);
}

int module_put(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    SCOPED(err_list_done) struct err_list wrong = {0};
    struct all x = {.name = http_path_param(r, "name"),
                    .may_run = studio_may_run(r->ctx, &r->who, r->project)};
    const struct module *only[2] = {0};
    struct buf out = BUF_MAX(ANSWER_BYTES);
    struct component c;
    struct catalog built_in;
    struct err why;
    struct str text;

    catalog_built_in(&r->arena, &built_in);
    if (doc_name_check(x.name, e) < 0 || studio_project(r, &x.project_id, e) < 0 ||
        http_body_all(r, LIMIT_COMPONENT_BYTES, &text, e) < 0) {
        return -1;
    }
    if (catalog_find(&built_in, x.name)) {
        return err_set(e, ERR_CONFLICT, "'%.*s' is the name of a built-in module", STR_ARG(x.name));
    }
    if (component_parse(&r->arena, x.name, text, &c, &wrong, &why) < 0) {
        if (wrong.len > 0) {
            return studio_reply_mistakes(r, &wrong, &why, e);
        }
        *e = why;
        return -1;
    }
    x.put = (struct module_row){.name = c.table.name,
                                .component = arena_strdup(&r->arena, text),
                                .updated_by = r->who.name};
    if (state_write(s->parts.state, put_fn, &x, e) < 0) {
        return -1;
    }
    only[0] = &c.table;
    manifest_json(only, NULL, &out);
    return studio_reply(r, 200, &out, 0, e);
}

int module_get(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct all x = {.a = &r->arena, .name = http_path_param(r, "name")};

    if (studio_project(r, &x.project_id, e) < 0 || state_read(s->parts.state, list_fn, &x, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < x.n; i++) {
        if (str_eq_c(x.name, x.rows[i].name)) {
            return http_reply(r, 200, "application/yaml", str_of(x.rows[i].component), e);
        }
    }
    return err_set(e, ERR_NOT_FOUND, "the project has no module \"%.*s\" of its own",
                   STR_ARG(str_first(x.name, 70)));
}

static int delete_fn(struct state_db *db, void *ctx, struct err *e)
{
    const struct all *x = ctx;

    return check_schedules(db, x, e) < 0 ? -1 : module_store_delete(db, x->project_id, x->name, e);
}

int module_delete(struct http_req *r, struct err *e)
{
    struct pipelines *s = r->ctx;
    struct all x = {.name = http_path_param(r, "name"),
                    .may_run = studio_may_run(r->ctx, &r->who, r->project)};

    return studio_project(r, &x.project_id, e) < 0 ||
                   state_write(s->parts.state, delete_fn, &x, e) < 0
               ? -1
               : http_reply_empty(r, 204, e);
}
