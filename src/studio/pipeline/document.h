/* document - a pipeline as its author writes it: YAML or JSON -> struct doc, with every mistake at
 * its line and key; kept as JSON, given back as YAML (docs/formats/pipeline.md).
 *
 * Everything lives in the caller's arena; no text in it holds a NUL byte. What no document can know
 * by itself (modules, ports, columns) is the business of check.h. Hostile input: LIMIT_PIPELINE_*.
 */
#pragma once
#include "base/arena.h"
#include "base/json.h"

struct doc_place {
    unsigned line, column; /* 0: unknown */
};

/* A value as it was written: a number or truth value, or (is_text) a text. */
struct doc_value {
    const char *text;
    bool is_text;
};

/* A parameter of the pipeline, given when it runs: ${name} in values of nodes. */
struct doc_var {
    const char *name;
    const char *type; /* int, real, bool, text */
    bool has_default;
    struct doc_value def;
    const char *help; /* or NULL */
    struct doc_place at;
};

struct doc_param {
    const char *name;
    struct doc_value value;
    struct doc_place at;
};

struct doc_input {
    const char *port;
    const char *node, *from; /* node.from */
    struct doc_place at;
};

struct doc_point {
    bool is_given;
    double x, y;
};

struct doc_node {
    const char *id, *module;
    const char *title; /* or NULL */
    struct doc_point position;
    struct doc_param *params;
    size_t n_params;
    struct doc_input *inputs;
    size_t n_inputs;
    bool is_uncached;
    const char *memory;   /* as it was written: "2Gi"; or NULL */
    int64_t memory_bytes; /* 0: none was given */
    struct doc_place at;
};

struct doc_comment {
    const char *text;
    struct doc_point position, size;
};

struct doc {
    const char *description; /* or NULL */
    const char *volume;      /* "studio" when it names none */
    struct doc_var *vars;
    size_t n_vars;
    struct doc_node *nodes;
    size_t n_nodes;
    struct doc_comment *comments;
    size_t n_comments;
};

/* -1: the text is no YAML (*e says where), or `mistakes` holds what is wrong and *e as much of it
 * as fits. */
int doc_parse(struct arena *a, struct str text, struct doc *out, struct err_list *mistakes,
              struct err *e) MUST_USE;
/* The same from JSON that is read already. */
int doc_from_json(struct arena *a, const json_t *root, struct doc *out, struct err_list *mistakes,
                  struct err *e) MUST_USE;
/* doc_parse reads both back to the same document. */
void doc_json(const struct doc *d, struct jw *w);
void doc_yaml(const struct doc *d, struct buf *out);
struct doc_node *doc_find(const struct doc *d, struct str id); /* or NULL */
/* Of a pipeline: [a-z0-9][a-z0-9._-]*, at most LIMIT_NAME_BYTES. */
int doc_name_check(struct str name, struct err *e) MUST_USE;
