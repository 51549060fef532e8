/* module - what an algorithm is to the outside: a const table of ports and parameters, and one
 * function. Usage, the form in the console, `strata-ml manifest` and every check of the user's
 * words are made from the table (docs/formats/module-manifest.md). */
#pragma once
#include "algorithms/kernel/value.h"

struct step;
struct check;

enum param_type {
    PARAM_INT,
    PARAM_REAL,
    PARAM_BOOL,
    PARAM_TEXT,
    PARAM_CHOICE,  /* one of `choices` */
    PARAM_INTS,    /* "128,64": whole numbers from min to max */
    PARAM_PATH,    /* a file name */
    PARAM_COLUMN,  /* one column of the first table */
    PARAM_COLUMNS, /* a selector: select.h */
    PARAM_CODE,    /* lines of a program */
};

struct param {
    const char *name;
    enum param_type type;
    const char *def;     /* as the user would write it; NULL: must be given */
    double min, max;     /* PARAM_INT, PARAM_REAL, PARAM_INTS; inclusive */
    const char *choices; /* "a|b|c" */
    const char *help;    /* one sentence */
};

/* HIDDEN: the platform alone connects it; documents, forms and lists do not know it. */
enum { PORT_OPTIONAL = 1, PORT_HIDDEN = 2 };

struct port {
    const char *name;
    enum value_type type;
    unsigned flags;
    const char *help;
};

enum { MODULE_PORTS = 4, MODULE_PARAMS = 24 };
enum {
    MODULE_LIGHT = 1,   /* done in a moment: may share a container with its neighbours */
    MODULE_NETWORK = 2, /* the server brings its data from the network, before any container */
    MODULE_SCRIPT = 4,  /* a program of the user, on an image of his */
    MODULE_WRITES = 8,  /* its paths are files that it makes */
};

struct module {
    const char *name, *title, *description, *category, *version;
    const struct port *inputs, *outputs; /* each ends with a zero row */
    const struct param *params;          /* ends with a zero row */
    unsigned flags;
    /* What it needs, in words of need.h: with its columns in memory (NULL: NEED_DEFAULT), and with
     * them in a spill file (NULL: the same). */
    const char *memory, *memory_spilled;
    int (*run)(struct step *s, struct err *e);
    /* What the outputs will be like, from parameters and the columns of the inputs (check.h). NULL:
     * nothing is known of them but their types. */
    void (*check)(struct check *c);
};

const char *param_type_name(enum param_type type);
/* Whether `text` is a value of the parameter. ERR_INVALID with the parameter's name. */
int param_check(const struct param *p, struct str text, struct err *e) MUST_USE;
