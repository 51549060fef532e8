/* template_priv - the tree of a template, and the values that it works with. */
#pragma once
#include "rules/template.h"

enum {
    TEMPLATE_DEPTH = 64,      /* blocks and parentheses in each other; templates that call */
    TEMPLATE_VARIABLES = 256, /* at one time */
    TEMPLATE_ARGS = 32,       /* of a function */
    TEMPLATE_STEPS = 100000,  /* nodes worked out for one text */
    TEMPLATE_QUERIES = 32     /* asked for one text */
};
#define TEMPLATE_MEMORY ((size_t)32 << 20) /* of values on the way */

/* --- values --- */

enum value_kind {
    VALUE_NONE, /* nil, or what is not there */
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_LABELS,
    VALUE_SAMPLE,
    VALUE_SAMPLES,
    VALUE_ARGS, /* of args: a map of arg0, arg1, ... */
    VALUE_DATA, /* of the alert: .Labels, .Value, ... */
    VALUE_TIME, /* seconds since 1970 in `number` */
    VALUE_DURATION
};

struct template_sample {
    struct labels labels;
    double v;
};

struct value {
    enum value_kind kind;
    union {
        bool truth;
        int64_t whole;
        double number;
        struct str text;
        struct labels labels;
        struct {
            const struct template_sample *samples;
            size_t n_samples;
        };
        struct {
            const struct value *args;
            size_t n_args;
        };
    };
};

static inline struct value value_text(struct str s)
{
    return (struct value){.kind = VALUE_TEXT, .text = s};
}

static inline struct value value_float(double v)
{
    return (struct value){.kind = VALUE_FLOAT, .number = v};
}

static inline struct value value_int(int64_t v)
{
    return (struct value){.kind = VALUE_INT, .whole = v};
}

static inline struct value value_bool(bool v)
{
    return (struct value){.kind = VALUE_BOOL, .truth = v};
}

/* --- the tree --- */

enum operand_kind {
    OPERAND_DOT,
    OPERAND_CONSTANT, /* nil too */
    OPERAND_VARIABLE, /* `name` without the dollar */
    OPERAND_FUNCTION,
    OPERAND_PIPE /* in parentheses */
};

struct operand {
    enum operand_kind kind;
    struct str name;
    struct value constant;
    struct pipe *pipe;
    struct str *fields; /* .A.B behind it */
    size_t n_fields;
    struct operand *next;
};

struct command {
    struct operand *operands; /* the first is the function, or all there is */
    struct command *next;
};

struct pipe {
    struct str variables[2]; /* of $i, $e := ... */
    size_t n_variables;
    bool assigns; /* =, not := */
    struct command *commands;
};

enum node_kind {
    NODE_TEXT,
    NODE_PIPE,
    NODE_IF,
    NODE_WITH,
    NODE_RANGE,
    NODE_TEMPLATE,
    NODE_BREAK,
    NODE_CONTINUE
};

struct node {
    enum node_kind kind;
    struct str text; /* TEXT; the name of a TEMPLATE */
    struct pipe *pipe;
    struct node *list, *otherwise;
    struct node *next;
};

struct definition {
    struct str name;
    struct node *list;
    struct definition *next;
};

struct template
{
    struct node *list;
    struct definition *definitions;
};

int template_parse(struct arena *a, struct str text, struct template *out, struct err *e) MUST_USE;

/* --- working it out --- */

struct variable {
    struct str name;
    struct value v;
};

struct template_run {
    const struct rule_values *values;
    const struct template *template;
    struct arena *arena;
    struct buf *out;
    struct variable variables[TEMPLATE_VARIABLES];
    size_t n_variables;
    unsigned depth, steps, queries;
};

/* --- functions --- */

struct template_function {
    const char *name;
    unsigned least, most; /* arguments */
    int (*fn)(struct template_run *r, const struct value *args, size_t n, struct value *out,
              struct err *e);
};

/* The head of one. */
#define TEMPLATE_FUNCTION(name)                                                                    \
    static int name(struct template_run *r UNUSED, const struct value *args, size_t n UNUSED,      \
                    struct value *out UNUSED, struct err *e UNUSED)

extern const struct template_function template_prometheus[]; /* ends with a name of NULL */

/* NULL: no such function. Of "and" and "or" `fn` is NULL: they do not look at all arguments. */
const struct template_function *template_function(struct str name);
bool value_is_true(const struct value *v);
/* .name of a value. */
int value_field(struct template_run *r, const struct value *v, struct str name, struct value *out,
                struct err *e) MUST_USE;
/* Of "arg0", ...; NULL when there is none. */
const struct value *value_arg(const struct value *v, struct str name);

/* Arguments of the function `name`. */
int template_wrong(const char *name, const struct value *v, const char *expected, struct err *e);
#define template_wrong(...) err_minus_one(template_wrong(__VA_ARGS__))
int template_text(const char *name, const struct value *v, struct str *out, struct err *e) MUST_USE;
/* A text that is a number is one. */
int template_number(const char *name, const struct value *v, double *out, struct err *e) MUST_USE;
/* What was put into `b`, which is done with, as a value. */
int template_kept(struct template_run *r, struct buf *b, struct value *out, struct err *e) MUST_USE;
/* As in the query of a URL. */
void template_add_query(struct buf *out, struct str s);

/* --- values as text --- */

const char *value_type(const struct value *v);          /* as Go names it */
void value_put(struct buf *out, const struct value *v); /* as %v does */
/* All in a row, with spaces as Go's Sprint or Sprintln has them. */
void value_print(struct buf *out, const struct value *v, size_t n, bool line);
void value_printf(struct buf *out, struct str format, const struct value *v, size_t n);
