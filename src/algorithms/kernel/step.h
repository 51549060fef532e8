/* step - one use of a module: its words checked, its inputs and outputs at hand.
 *
 *   words:  logistic_regression --in train=scaled --out model=/data/m.smdl --param label_col=digit
 *
 * step_parse() checks every word against the module's tables before anything runs. Who runs the
 * step (main.c, chain.c) fills `in`, calls run, and takes `out`. */
#pragma once
#include "algorithms/kernel/module.h"
#include "algorithms/kernel/progress.h"
#include "algorithms/kernel/threads.h"

enum { STEP_COPIES = 4 };

struct step {
    const struct module *module;
    char *params[MODULE_PARAMS];               /* as given, or NULL */
    char *in_refs[MODULE_PORTS];               /* what the ports are connected to */
    char *out_refs[MODULE_PORTS][STEP_COPIES]; /* an output may go to several places */
    const struct value *in[MODULE_PORTS];      /* borrowed; NULL: not connected */
    struct value out[MODULE_PORTS];            /* owned */
    struct threads *threads;
    struct progress *progress;
};

/* `modules` ends with NULL. words[0] is the module. ERR_INVALID suggests the nearest name. */
int step_parse(struct step *s, const struct module *const *modules, char *const *words, size_t n,
               struct err *e) MUST_USE;
void step_done(struct step *s);
const struct module *step_find_module(const struct module *const *modules, struct str name,
                                      struct err *e);

/* Which row of the module's table; -1 and ERR_INVALID with the nearest name. */
int step_need_param(const struct module *m, struct str name, struct err *e) MUST_USE;
int step_need_input(const struct module *m, struct str name, struct err *e) MUST_USE;
bool step_has(const struct step *s, const char *param); /* the module's table has such a row */

/* For modules. Names must be rows of the module's tables (asserted); values are checked already. */
int64_t step_int(const struct step *s, const char *param);
double step_real(const struct step *s, const char *param);
bool step_true(const struct step *s, const char *param);
struct str step_text(const struct step *s, const char *param);
/* Position among the choices. */
unsigned step_choice(const struct step *s, const char *param);
bool step_given(const struct step *s, const char *param);

const struct table *step_table(const struct step *s, const char *port); /* NULL: not connected */
const struct model *step_model(const struct step *s, const char *port);
struct transform *step_transform(const struct step *s, const char *port);
const char *step_file_in(const struct step *s, const char *port); /* the path of a FILE, or NULL */
bool step_wants(const struct step *s, const char *port);          /* the output is connected */
/* Each takes ownership. */
void step_out_table(struct step *s, const char *port, struct table *t);
void step_out_model(struct step *s, const char *port, struct model *m);
void step_out_transform(struct step *s, const char *port, struct transform *x);
void step_out_report(struct step *s, const char *port, struct buf report);
