#include "pipeline/output_check.h"

#include "algorithms/kernel/arrow.h"
#include "algorithms/kernel/check.h"
#include "base/mem.h"
#include "pipeline/script.h"
#include "volume/volume.h"

#include <string.h>
#include <unistd.h>

enum { SCHEMA_BYTES = 16 * 1024 * 1024 };

bool output_is_needed(const struct run *r, const struct run_node *n, size_t port)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct graph_node *g = &r->graph.nodes[r->nodes[i].g];

        for (size_t k = 0; k < MODULE_PORTS; k++) {
            if (g->from[k] == n->g && g->from_port[k] == (int)port) {
                return true;
            }
        }
    }
    return false;
}

static char *read_part(int fd, uint64_t at, size_t n)
{
    SCOPED(freep) char *bytes = xcalloc(1, n + 1);

    for (size_t got = 0; got < n;) {
        ssize_t more = pread(fd, bytes + got, n - got, (off_t)(at + got));

        if (more <= 0) {
            return NULL;
        }
        got += (size_t)more;
    }
    return TAKE(bytes);
}

/* The columns that an Arrow file says it has. */
static struct table *columns_of(const struct volume_file_info *f, struct err *e)
{
    SCOPED(freep) char *first = NULL;
    SCOPED(freep) char *last = NULL;
    SCOPED(freep) char *schema = NULL;
    uint64_t size = (uint64_t)f->size_bytes, at = 0;
    size_t n = size < ARROW_EDGE_BYTES ? (size_t)size : ARROW_EDGE_BYTES, len = 0;

    first = read_part(f->fd, 0, n);
    last = read_part(f->fd, size - n, n);
    if (first == NULL || last == NULL) {
        err_set(e, ERR_INVALID, "it became shorter while it was read");
        return NULL;
    }
    if (arrow_schema_lies(str_n(first, n), str_n(last, n), size, &at, &len, e) < 0) {
        return NULL;
    }
    schema = len <= SCHEMA_BYTES ? read_part(f->fd, at, len) : NULL;
    if (schema == NULL) {
        err_set(e, ERR_INVALID, "its schema cannot be read");
        return NULL;
    }
    return arrow_columns(str_n(first, n), str_n(schema, len), e);
}

/* Whole numbers are numbers too. */
static bool fits(const struct column *is, const struct column *promised)
{
    return is->kind == promised->kind && (is->kind == COLUMN_TEXT || is->as == promised->as ||
                                          (promised->as == AS_REAL && is->as == AS_INT));
}

static int compare(const struct table *is, const struct table *promised, struct err *e)
{
    if (is->n_columns != promised->n_columns) {
        return err_set(e, ERR_INVALID, "it has %zu columns, and the step promises %zu",
                       is->n_columns, promised->n_columns);
    }
    for (size_t i = 0; i < is->n_columns; i++) {
        const struct column *a = &is->columns[i], *b = &promised->columns[i];

        if (strcmp(a->name, b->name) != 0) {
            return err_set(e, ERR_INVALID,
                           "its column %zu is '%.100s', and the step promises '%.100s'", i + 1,
                           a->name, b->name);
        }
        if (!fits(a, b)) {
            return err_set(e, ERR_INVALID, "its column '%.100s' is %s, and the step promises %s",
                           a->name, column_type_name(a), column_type_name(b));
        }
    }
    return 0;
}

/* What the module tells of the table from its parameters alone. */
static int keep_promise(const struct run *r, const struct run_node *n, size_t port,
                        const struct table *is, struct err *e)
{
    SCOPED(freep) struct check *c = xnew(struct check);
    const struct module *m = run_module(r, n);
    const struct schema *promised = &c->out[port];
    int rc;

    check_init(c, m);
    for (size_t i = 0; m->params[i].name; i++) {
        check_set_param(c, str_of(m->params[i].name),
                        str_of(step_param_named(r, n, m->params[i].name)));
    }
    check_run(c);
    rc = promised->table && !promised->open ? compare(is, promised->table, e) : 0;
    check_done(c);
    return rc;
}

static int check_table_of(const struct run *r, const struct run_node *n, size_t port,
                          const struct volume_file_info *f, struct step_output *o, struct err *e)
{
    SCOPED(table_freep) struct table *is = columns_of(f, e);

    if (is == NULL) {
        e->kind = ERR_INVALID;
        return err_wrap(e, "it is no Arrow file");
    }
    o->columns = (int64_t)is->n_columns;
    return script_is(run_module(r, n)) ? keep_promise(r, n, port, is, e) : 0;
}

/* binary.h: the head of models and transforms. */
static int check_head(char kind, const struct volume_file_info *f, struct err *e)
{
    const char mark[] = {(char)0x89, 'S', 'T', 'R', kind, 0x0d, 0x0a, 0x1a};
    SCOPED(freep)
    char *head = f->size_bytes >= (int64_t)sizeof(mark) ? read_part(f->fd, 0, sizeof(mark)) : NULL;

    return head && memcmp(head, mark, sizeof(mark)) == 0
               ? 0
               : err_set(e, ERR_INVALID, "it is no %s file of strata-ml",
                         kind == 'M' ? "model" : "transform");
}

int output_check(const struct run *r, const struct run_node *n, size_t port,
                 const struct volume_file_info *f, struct step_output *o, struct err *e)
{
    const struct port *p = &run_module(r, n)->outputs[port];
    int rc = 0;

    if (r->graph.nodes[n->g].module->component == NULL && !script_is(run_module(r, n))) {
        return 0;
    }
    if (p->type == VALUE_TABLE) {
        rc = check_table_of(r, n, port, f, o, e);
    } else if (p->type == VALUE_MODEL || p->type == VALUE_TRANSFORM) {
        rc = check_head(p->type == VALUE_MODEL ? 'M' : 'X', f, e);
    }
    return rc < 0
               ? err_wrap(e, "the step ended well, but its output %s is not what it says", p->name)
               : 0;
}
