/* labels - words that people put on images: global ones of administrators, and those of a project.
 *
 *   labels(project_id 0: global) <- manifest_labels -> manifests;  trash_labels while in the trash
 *
 * A label is on a manifest, not on a tag: a tag that moves on leaves it behind. Names are unique
 * among the global ones and in each project. A label that is deleted is gone at once (`gone`); its
 * rows go in steps (store_labels_purge), however many images had it. Threads: any. */
#pragma once
#include "base/arena.h"
#include "base/json.h"
#include "registry/names.h"

struct page;
struct query;
struct registry;
struct state_db;

/* True of a manifest m that has all the labels of a JSON array of names (NULL: always). */
#define SQL_HAS_LABELS(names)                                                                      \
    "NOT EXISTS (SELECT 1 FROM json_each(" names ") w WHERE NOT EXISTS (SELECT 1 FROM"             \
    " manifest_labels x JOIN labels l ON l.id = x.label_id WHERE x.manifest_id = m.id"             \
    " AND l.name = w.value AND l.gone = 0))"
/* Names of the labels of a manifest m, one a line; NULL: none. */
#define SQL_LABEL_NAMES                                                                            \
    "(SELECT group_concat(name, char(10)) FROM (SELECT l.name FROM manifest_labels x"              \
    " JOIN labels l ON l.id = x.label_id WHERE x.manifest_id = m.id AND l.gone = 0 ORDER BY 1))"
/* The same as a JSON array of ImageLabel. */
#define SQL_LABELS                                                                                 \
    "(SELECT json_group_array(json_object('id', id, 'name', name, 'color', color, 'scope',"        \
    " iif(project_id = 0, 'global', 'project'))) FROM (SELECT l.* FROM manifest_labels x"          \
    " JOIN labels l ON l.id = x.label_id WHERE x.manifest_id = m.id AND l.gone = 0"                \
    " ORDER BY l.name, l.id))"

struct label {
    int64_t id, project_id, created_ms, updated_ms;
    struct str name, description, color, created_by; /* in the arena */
};
/* One label: by its id, or by its name (then of that project; 0: global). */
struct label_key {
    int64_t id; /* 0: by name */
    int64_t project_id;
    struct str name;
};
/* What is said of it; p == NULL: nothing, as it was. */
struct label_form {
    struct str name, description, color;
};

/* No control characters, no comma (lists of names have commas), no slash (it is part of a path), no
 * space at its ends. */
int label_name_check(struct str name, struct err *e) MUST_USE;
/* ?label=a,b as a JSON array of names for SQL_HAS_LABELS, in the arena; p == NULL: none. */
int label_names_parse(struct arena *a, struct str text, struct str *out, struct err *e) MUST_USE;
/* A JSON list of names as "a,b"; at most LIMIT_LABELS_ASKED. Empty or missing: "". */
int label_names_json(struct arena *a, const json_t *list, const char *key, struct str *out,
                     struct err *e) MUST_USE;
/* "a,b" as an array. */
void label_names_write(struct jw *w, struct str names);

int store_label_make(struct registry *r, int64_t project_id, const struct label_form *f,
                     struct str by, int64_t *id, struct err *e) MUST_USE;
/* ERR_NOT_FOUND. */
int store_label_find(struct registry *r, struct arena *a, const struct label_key *k,
                     struct label *out, struct err *e) MUST_USE;
int store_label_change(struct registry *r, const struct label_key *k, const struct label_form *f,
                       struct err *e) MUST_USE;
int store_label_drop(struct registry *r, const struct label_key *k, struct err *e) MUST_USE;
int store_label_rows(struct registry *r, int64_t project_id, struct page *p, struct jw *w,
                     struct err *e) MUST_USE;
void label_write(struct jw *w, const struct label *l);

/* By id, or by name: the project's own, else the global one. `digest` receives that of the
 * manifest. `added` false: it was there. */
int store_label_put(struct registry *r, const struct reference *ref, int64_t project_id,
                    const struct label_key *k, bool *added, char digest[CONTENT_DIGEST_MAX],
                    struct err *e) MUST_USE;
/* By name: all of that name that the image has. ERR_NOT_FOUND when it has none. */
int store_label_take(struct registry *r, const struct reference *ref, int64_t project_id,
                     const struct label_key *k, struct err *e) MUST_USE;
/* A JSON array of ImageLabel. */
int store_image_labels(struct registry *r, const struct reference *ref, int64_t project_id,
                       struct jw *w, struct err *e) MUST_USE;

/* --- inside a transaction --- */

/* The labels of a project that is deleted. */
int db_labels_project_gone(struct state_db *db, int64_t project_id, struct err *e) MUST_USE;
/* 1: the tag's image has all of these ("a,b"). */
int db_tag_has_labels(struct state_db *db, struct arena *a, struct str repository, struct str tag,
                      struct str names, struct err *e) MUST_USE;
/* Some rows of labels that are gone, a bounded number in each transaction. */
int store_labels_purge(struct registry *r, struct err *e) MUST_USE;
