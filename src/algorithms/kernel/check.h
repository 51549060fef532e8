/* check - what a step would make of its inputs, told from their columns alone, before any run.
 *
 *   schema of every input + parameters  ->  module->check()  ->  schemas of the outputs, or
 * mistakes
 *
 * A schema is what is known of a value that is not there yet. Of a table that is a table without
 * rows, so that checks look columns up by the functions that runs use, and say the same sentences.
 * Any thread, one check each. Who calls: main.c (--schema-only) and the server's validator. */
#pragma once
#include "algorithms/kernel/step.h"
#include "base/json.h"

struct files_lister;

struct schema {
    enum value_type type; /* VALUE_NONE: nothing is known */
    /* No rows. TABLE: its columns; MODEL: its features; TRANSFORM: NULL. */
    struct table *table;
    bool open;    /* there may be more columns, known after a run only */
    int64_t rows; /* about; 0: nobody can tell */
    /* MODEL */
    enum model_task task;
    char *label;
    enum column_kind label_kind;
};

void schema_done(struct schema *s);
/* Of a value that is there. */
int schema_of(struct schema *s, const struct value *v, struct err *e) MUST_USE;
/* {"type":"table","open":false,"columns":[{"name":"age","type":"real"}]} */
void schema_json(const struct schema *s, struct jw *w);

/* One thing that cannot work, and what would mend it: another value for the parameter, or a module
 * put in front of the port. Strings that are not const are owned. */
struct mistake {
    const char *port, *param; /* of the module's tables; or NULL */
    char *column, *message;   /* column may be NULL; of several "a,b" */
    char *fix_value;          /* for `param` */
    const char *fix_module;   /* with its parameter "cols" set to `column` */
};

enum { CHECK_MISTAKES = 16 }; /* more are not kept */

struct check {
    struct step step;                      /* module and parameters; never run */
    const struct schema *in[MODULE_PORTS]; /* borrowed; NULL: not connected */
    struct schema out[MODULE_PORTS];
    struct mistake mistakes[CHECK_MISTAKES];
    size_t n_mistakes;
    /* Opens a file that a parameter names (the caller closes it); -1 with an error. NULL: files are
     * not looked at. */
    int (*open_file)(void *ctx, const char *path, struct err *e);
    void *ctx;
    const struct files_lister *lister; /* of folders; NULL: they are not looked at */
};

void check_init(struct check *c, const struct module *m);
void check_done(struct check *c);
/* A value as the user wrote it. Mistakes are kept. */
void check_set_param(struct check *c, struct str name, struct str value);
/* `s` (type VALUE_NONE: connected, but nothing is known) outlives the check. `from` names the maker
 * in sentences: "split.train". */
void check_set_input(struct check *c, struct str port, const struct schema *s, struct str from);
/* After parameters and inputs: what is missing, then the module's own check. Outputs whose schema
 * cannot be told stay VALUE_NONE. */
void check_run(struct check *c);
/* [{"port","param","column","message","fix"}], as the check route answers them. */
void check_mistakes_json(const struct check *c, struct str node, struct jw *w);

/* --- for the check functions of modules ------------------------------------------------------- */

/* Keeps a mistake; the sentence is from `e` or made by the format. */
void check_mistake(struct check *c, const char *port, const char *param, const char *column,
                   const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The columns of a connected table; NULL when nothing is known of it. */
const struct table *check_table(const struct check *c, const char *port);
bool check_open(const struct check *c, const char *port);

enum check_kind { CHECK_ANY, CHECK_NUMBERS, CHECK_TEXT };
/* The column that a parameter names; NULL when it is not given ("" allowed), not known, or a
 * mistake (kept). */
const struct column *check_column(struct check *c, const char *port, const char *param,
                                  enum check_kind kind);
/* The columns that a selector names (select.h): for free(3); NULL as above. `fix_module` may mend
 * columns of the wrong kind: "one_hot". */
uint32_t *check_columns(struct check *c, const char *port, const char *param, enum check_kind kind,
                        const char *const *never, size_t n_never, const char *fix_module,
                        size_t *n);

/* Columns that the table of a port shares with the features of a model are of their kinds. Others
 * may be made by the model's transforms: they are no mistake before a run. */
void check_kinds(struct check *c, const char *port, const struct table *features);

/* The output will be a table of these columns (takes ownership; NULL: of no column known). */
void check_out_table(struct check *c, const char *port, struct table *t, bool open);
/* A copy of the columns of an input's table, without rows; NULL when unknown. */
struct table *check_copy(const struct check *c, const char *port);
/* Some of them, in the order given. */
struct table *check_some(const struct check *c, const char *port, const uint32_t *columns,
                         size_t n);
/* The same columns as an input. */
void check_out_same(struct check *c, const char *port, const char *in);
void check_out_model(struct check *c, const char *port, enum model_task task,
                     const struct column *label, struct table *features);
void check_out_transform(struct check *c, const char *port);
void check_out_report(struct check *c, const char *port);
/* An empty column at the end; a name that is there already is a mistake of `param`. */
void check_add_column(struct check *c, struct table *t, const char *param, struct str name,
                      enum column_kind kind);
/* The same of numbers that mean something: AS_INT. */
void check_add_as(struct check *c, struct table *t, const char *param, struct str name,
                  enum column_as as);
