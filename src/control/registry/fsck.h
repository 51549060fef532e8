/* fsck - do files and tables of the registry agree?
 *
 *   files   each row of blobs has its file, of its size (deep: of its digest); each file has a row
 *   rows    counters, references, charges and bodies of manifests, each check one statement
 *
 * Safe while pushes run: what looks wrong is looked at again under the digest's pin, and the tables
 * are read in one snapshot. One check at a time. */
#pragma once
#include "base/arena.h"
#include "base/vec.h"
#include "registry_priv.h"

struct page;

enum { FSCK_FINDINGS_MAX = 1000 }; /* past it they are only counted */

enum fsck_level { FSCK_PROBLEM, FSCK_NOTE };
struct fsck_kind {
    const char *name, *text;
    enum fsck_level level;
};
/* NULL: none of that name. */
const struct fsck_kind *fsck_kind(struct str name);

enum fsck_mended { FSCK_LEFT, FSCK_MENDED };
struct fsck_finding {
    const struct fsck_kind *kind;
    struct str name, details; /* in the arena */
    bool repaired;
};
struct fsck_report {
    struct registry *r;
    unsigned flags;
    int64_t at_ms, blobs, bytes, manifests, problems, repaired, notes;
    VEC(struct fsck_finding) findings;
    struct arena arena;
};
void fsck_report_done(struct fsck_report *rep);
/* `kind` is one of the table's names. */
void fsck_found(struct fsck_report *rep, const char *kind, struct str name, struct str details,
                enum fsck_mended mended);

int fsck_files(struct fsck_report *rep, struct err *e) MUST_USE;
int fsck_rows(struct fsck_report *rep, struct err *e) MUST_USE;

/* Begins a check in a thread of its own. ERR_CONFLICT while one runs. */
int fsck_start(struct registry *r, unsigned flags, struct str by, struct err *e) MUST_USE;
void fsck_stop(struct registry *r);
/* The check that runs, or the last one; ERR_NOT_FOUND. */
int fsck_write(struct registry *r, struct jw *w, struct err *e) MUST_USE;
/* Items of an open array: what the last check found. */
int fsck_findings_write(struct registry *r, struct page *p, struct jw *w, struct err *e) MUST_USE;
