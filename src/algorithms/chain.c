#include "algorithms/chain.h"

#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/failure.h"
#include "algorithms/kernel/file_digest.h"
#include "algorithms/kernel/ml_limits.h"
#include "algorithms/kernel/preview.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* A value in memory: made by one step, read by later ones. */
struct named {
    char *name;
    enum value_type type;
    size_t maker, last_reader;
    struct value value;
};

struct chain {
    struct step *steps;
    size_t n_steps;
    struct named *values;
    size_t n_values;
    enum { REFS_MIXED, REFS_FILES } refs;
    bool takes_stdout;
};

static void chain_done(struct chain *c)
{
    for (size_t i = 0; i < c->n_steps; i++) {
        step_done(&c->steps[i]);
    }
    for (size_t i = 0; i < c->n_values; i++) {
        value_done(&c->values[i].value);
        free(c->values[i].name);
    }
    free(c->steps);
    free(c->values);
}

static bool is_file(const struct chain *c, const char *ref)
{
    return c->refs == REFS_FILES || strpbrk(ref, "/.") != NULL || strcmp(ref, "-") == 0;
}

/* The value of that name as the steps so far left it: the last maker wins. */
static struct named *find_value(struct chain *c, const char *name)
{
    for (size_t i = c->n_values; i-- > 0;) {
        if (strcmp(c->values[i].name, name) == 0) {
            return &c->values[i];
        }
    }
    return NULL;
}

/* --- words ------------------------------------------------------------------------------- */

/* Shell-like: spaces separate, '...' is literal, "..." and \x keep what follows together. */
static int split_words(const char *line, char **words, size_t *n, struct err *e)
{
    const char *p = line;

    for (;;) {
        struct buf word = BUF_MAX(64 * KIB);
        char quote = 0;

        p += strspn(p, " \t\r\n");
        if (*p == '\0') {
            return 0;
        }
        for (; *p && (quote || strchr(" \t\r\n", *p) == NULL); p++) {
            if (quote ? *p == quote : *p == '\'' || *p == '"') {
                quote = quote ? 0 : *p;
                continue;
            }
            p += *p == '\\' && quote != '\'' && p[1];
            (void)buf_add(&word, str_n(p, 1));
        }
        if (quote || word.failed || *n == ML_LIMIT_WORDS) {
            buf_done(&word);
            return err_set(e, ERR_INVALID, "%s",
                           quote ? "a quote is opened and never closed" : "the step is too long");
        }
        words[(*n)++] = buf_take(&word);
    }
}

static int parse_line(struct chain *c, const struct module *const *modules, const char *line,
                      struct err *e)
{
    char *words[ML_LIMIT_WORDS];
    size_t n = 0;
    int rc = split_words(line, words, &n, e);

    if (rc == 0 && n > 0 && words[0][0] != '#') {
        rc = step_parse(&c->steps[c->n_steps], modules, words, n, e);
        c->n_steps += rc == 0;
    }
    for (size_t i = 0; i < n; i++) {
        free(words[i]);
    }
    return rc;
}

/* --- the plan ------------------------------------------------------------------------------ */

static int plan_inputs(struct chain *c, size_t at, struct err *e)
{
    struct step *s = &c->steps[at];

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        struct named *v;

        if (s->in_refs[i] == NULL || is_file(c, s->in_refs[i])) {
            continue;
        }
        v = find_value(c, s->in_refs[i]);
        if (v == NULL) {
            return err_set(e, ERR_INVALID,
                           "input %s: no step before makes '%s' (a file needs a / or a . in its "
                           "name: ./%s)",
                           s->module->inputs[i].name, s->in_refs[i], s->in_refs[i]);
        }
        if (v->type != s->module->inputs[i].type) {
            return err_set(e, ERR_INVALID, "input %s is a %s, and '%s' is a %s made by step %zu",
                           s->module->inputs[i].name, value_type_name(s->module->inputs[i].type),
                           v->name, value_type_name(v->type), v->maker + 1);
        }
        v->last_reader = at;
    }
    return 0;
}

static int take_stdout(struct chain *c, const struct step *s, size_t port, struct err *e)
{
    const struct port *p = &s->module->outputs[port];

    if (c->takes_stdout) {
        return err_set(e, ERR_INVALID, "output %s: two outputs go to standard output", p->name);
    }
    c->takes_stdout = true;
    return p->type == VALUE_TABLE || p->type == VALUE_REPORT
               ? 0
               : err_set(e, ERR_INVALID, "output %s: a %s goes to a file", p->name,
                         value_type_name(p->type));
}

static int plan_output(struct chain *c, size_t at, size_t port, struct err *e)
{
    struct step *s = &c->steps[at];
    unsigned names = 0;

    for (size_t k = 0; k < STEP_COPIES && s->out_refs[port][k]; k++) {
        if (strcmp(s->out_refs[port][k], "-") == 0 && take_stdout(c, s, port, e) < 0) {
            return -1;
        }
        if (is_file(c, s->out_refs[port][k])) {
            if (binw_check(s->out_refs[port][k], e) < 0) { /* now, not after hours of training */
                return err_wrap(e, "output %s", s->module->outputs[port].name);
            }
            continue;
        }
        if (++names > 1) {
            return err_set(e, ERR_INVALID, "output %s goes to two names in memory; one is enough",
                           s->module->outputs[port].name);
        }
        c->values[c->n_values++] = (struct named){.name = xstrdup(s->out_refs[port][k]),
                                                  .type = s->module->outputs[port].type,
                                                  .maker = at,
                                                  .last_reader = at};
    }
    return 0;
}

static int plan_outputs(struct chain *c, size_t at, struct err *e)
{
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        if (plan_output(c, at, i, e) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- running ------------------------------------------------------------------------------- */

/* The value of that name that step `at` reads: the last one made before it. */
static struct named *value_for(struct chain *c, const char *name, size_t at)
{
    for (size_t i = c->n_values; i-- > 0;) {
        if (c->values[i].maker < at && strcmp(c->values[i].name, name) == 0) {
            return &c->values[i];
        }
    }
    return NULL;
}

static struct named *value_made_by(struct chain *c, const char *name, size_t at)
{
    for (size_t i = 0; i < c->n_values; i++) {
        if (c->values[i].maker == at && strcmp(c->values[i].name, name) == 0) {
            return &c->values[i];
        }
    }
    return NULL;
}

static int bring_inputs(struct chain *c, size_t at, struct value *loaded, struct err *e)
{
    struct step *s = &c->steps[at];

    for (size_t i = 0; i < MODULE_PORTS; i++) {
        if (s->in_refs[i] == NULL) {
            continue;
        }
        if (!is_file(c, s->in_refs[i])) {
            s->in[i] = &value_for(c, s->in_refs[i], at)->value;
            continue;
        }
        if (s->module->inputs[i].type == VALUE_FILE) {
            continue; /* its path is all that the module asks for */
        }
        if (value_load(&loaded[i], s->module->inputs[i].type, s->in_refs[i], e) < 0) {
            return err_wrap(e, "input %s", s->module->inputs[i].name);
        }
        s->in[i] = &loaded[i];
    }
    return 0;
}

/* "/out/table.arrow" -> "/out/table.preview.json" */
static char *preview_path(const char *path)
{
    const char *name = strrchr(path, '/'), *dot = strrchr(name ? name : path, '.');

    return xasprintf("%.*s.preview.json", (int)(dot ? dot - path : (ssize_t)strlen(path)), path);
}

/* Before the file itself, whose directory entry makes both durable. */
static int write_preview(const struct step *s, const struct value *v, const char *path,
                         struct err *e)
{
    struct buf text = BUF_MAX(ML_LIMIT_PREVIEW_BYTES);
    SCOPED(freep) char *beside = preview_path(path);
    SCOPED(binw_closep) struct binw *w = NULL;

    if (v->type == VALUE_NONE || v->type == VALUE_FILE) {
        return 0; /* value_save says why */
    }
    preview_json(v, s->threads, &text);
    if (text.failed) { /* a report of very many classes: it is there itself */
        buf_done(&text);
        return 0;
    }
    w = binw_open_text(beside, e);
    if (w) {
        binw_bytes(w, text.p, text.len);
        binw_bytes(w, "\n", 1);
    }
    buf_done(&text);
    return w ? binw_commit_beside(w, e) : -1;
}

/* What a file holds, for who runs the pipeline. */
static int announce(const struct step *s, size_t port, const char *path, struct err *e)
{
    const struct value *v = &s->out[port];
    char sum[FILE_DIGEST_TEXT];
    struct progress_file f = {.port = s->module->outputs[port].name,
                              .type = value_type_name(v->type),
                              .path = path,
                              .sha256 = sum,
                              .is_table = v->type == VALUE_TABLE};

    if (file_digest(path, sum, &f.bytes, e) < 0) {
        return -1;
    }
    if (f.is_table) {
        f.rows = v->table->n_rows;
        f.columns = v->table->n_columns;
    }
    progress_output(s->progress, &f);
    return 0;
}

/* Files first; then the value itself moves to its name in memory. */
static int keep_output(struct chain *c, size_t at, size_t port, struct err *e)
{
    struct step *s = &c->steps[at];
    struct named *kept = NULL;

    for (size_t k = 0; k < STEP_COPIES && s->out_refs[port][k]; k++) {
        const char *ref = s->out_refs[port][k];

        if (!is_file(c, ref)) {
            kept = value_made_by(c, ref, at);
        } else if ((s->progress->outputs && write_preview(s, &s->out[port], ref, e) < 0) ||
                   value_save(&s->out[port], ref, e) < 0 ||
                   (s->progress->outputs && announce(s, port, ref, e) < 0)) {
            return err_wrap(e, "output %s", s->module->outputs[port].name);
        }
    }
    if (kept) {
        kept->value = s->out[port];
        s->out[port] = (struct value){0};
    }
    return 0;
}

static int keep_outputs(struct chain *c, size_t at, struct err *e)
{
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        if (keep_output(c, at, i, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int run_step(struct chain *c, size_t at, struct err *e)
{
    struct step *s = &c->steps[at];
    struct value loaded[MODULE_PORTS] = {0};
    int rc;

    progress_begin(s->progress, s->module->name, (unsigned)at + 1, (unsigned)c->n_steps);
    rc = bring_inputs(c, at, loaded, e);
    if (rc == 0) {
        rc = s->module->run(s, e);
    }
    progress_end(s->progress);
    if (rc == 0) {
        rc = keep_outputs(c, at, e);
    }
    for (size_t i = 0; i < MODULE_PORTS; i++) {
        value_done(&loaded[i]);
        value_done(&s->out[i]);
    }
    for (size_t i = 0; i < c->n_values; i++) {
        if (c->values[i].last_reader == at) {
            value_done(&c->values[i].value);
        }
    }
    return rc;
}

static int wrap_step(const struct chain *c, size_t i, struct err *e)
{
    return c->n_steps == 1 ? err_wrap(e, "%s", c->steps[i].module->name)
                           : err_wrap(e, "step %zu, %s", i + 1, c->steps[i].module->name);
}

static int run_all(struct chain *c, struct threads *threads, struct progress *progress,
                   struct err *e)
{
    if (c->takes_stdout) {
        progress_move_to_stderr(progress);
    }
    for (size_t i = 0; i < c->n_steps; i++) {
        c->steps[i].threads = threads;
        c->steps[i].progress = progress;
        if (run_step(c, i, e) < 0) {
            return wrap_step(c, i, e);
        }
    }
    return 0;
}

static int plan(struct chain *c, struct err *e)
{
    for (size_t i = 0; i < c->n_steps; i++) {
        if (plan_inputs(c, i, e) < 0 || plan_outputs(c, i, e) < 0) {
            return wrap_step(c, i, e);
        }
    }
    return 0;
}

int chain_run(const struct module *const *modules, char *const *lines, size_t n,
              struct threads *threads, struct progress *progress, struct err *e)
{
    struct chain c = {.steps = xnew_array(struct step, n + 1),
                      .values = xnew_array(struct named, (n + 1) * MODULE_PORTS)};
    int rc = n > ML_LIMIT_STEPS
                 ? err_set(e, ERR_INVALID, "a chain has at most %d steps", ML_LIMIT_STEPS)
                 : 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = parse_line(&c, modules, lines[i], e);
        if (rc < 0) {
            err_wrap(e, "step %zu", i + 1);
        }
    }
    if (rc == 0 && c.n_steps == 0) {
        rc = err_set(e, ERR_INVALID,
                     "chain needs steps, one argument each: "
                     "chain \"read_csv --param path=x.csv --out table=t\" ...");
    }
    if (rc == 0 && plan(&c, e) == 0) {
        rc = run_all(&c, threads, progress, e);
    } else {
        rc = -1;
    }
    chain_done(&c);
    return rc;
}

int chain_run_one(const struct module *const *modules, char *const *words, size_t n,
                  struct threads *threads, struct progress *progress, struct err *e)
{
    struct chain c = {.steps = xnew_array(struct step, 1), .refs = REFS_FILES};
    int rc = step_parse(&c.steps[0], modules, words, n, e);

    if (rc == 0) {
        c.n_steps = 1;
        rc = plan(&c, e) < 0 ? -1 : run_all(&c, threads, progress, e);
    }
    chain_done(&c);
    return rc;
}
