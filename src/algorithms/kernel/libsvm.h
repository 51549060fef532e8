/* libsvm - sparse rows as SVMlight and LIBSVM have them, into dense columns and back.
 *
 *   1 qid:3 2:0.5 7:1   # a comment      ->   label 1, qid 3, f1 0, f2 0.5, ... f7 1
 *
 * A feature that a row does not name is 0; "nan" is missing. Indices go up within a line. The text
 * is read twice: for its width, then for its values. Errors are ERR_DATA and name the line. */
#pragma once
#include "algorithms/kernel/binary.h"
#include "algorithms/kernel/table.h"

enum libsvm_index { LIBSVM_AUTO, LIBSVM_FROM_ONE, LIBSVM_FROM_ZERO };

struct libsvm_options {
    enum libsvm_index index; /* auto: from zero when some line says 0 */
    size_t features;         /* columns, at least those that are named; 0: those */
    struct str label;        /* the name of its column */
};

struct table *libsvm_read(struct str text, const struct libsvm_options *o, struct err *e) MUST_USE;
/* The features of t, in their order: columns of numbers. Zeros are not written. ERR_DATA names row
 * and column of what is missing. */
int libsvm_write(const struct table *t, const struct column *label, const uint32_t *features,
                 size_t n, enum libsvm_index index, struct binw *w, struct err *e) MUST_USE;
