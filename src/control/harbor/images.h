/* images - artifacts of Harbor: ours, with what they are asked about. */
#pragma once
#include "harbor_priv.h"
#include "registry/policy.h"
#include "registry/store.h"

struct artifacts {
    struct list list; /* first: harbor_list_reply hands it over */
    struct str repository;
    struct policy policy; /* which tags are immutable */
    int64_t project_id, manifest_id;
    const char *digest;
    bool without_tags, with_label, with_overview, with_accessories;
    const char *report_type; /* see report_type_of */
};
/* What {ref} of the path means: a tag or a digest. */
int artifact_of(struct http_req *r, struct artifacts *of, struct stored_manifest *m,
                struct err *e) MUST_USE;

/* ERR_UNSUPPORTED: the project of the path is a cache of another registry. */
int harbor_refuse_cache(struct http_req *r, struct err *e) MUST_USE;

/* --- scans.c --- */

/* The first media type of X-Accept-Vulnerabilities that reports are told in; NULL: none of them. */
const char *report_type_of(const struct http_req *r);
/* "scan_overview" of an open object, where there is a report or a scan. */
int scan_overview_write(struct state_db *db, int64_t manifest_id, const char *report_type,
                        struct jw *w, struct err *e) MUST_USE;

/* The manifest ?1 and, of an index, those that it lists. */
#define WITH_PARTS                                                                                 \
    "WITH ids(id) AS (SELECT ?1 UNION SELECT k.id FROM manifest_children c JOIN manifests k"       \
    " ON k.repository_id = c.repository_id AND k.digest = c.digest WHERE c.manifest_id = ?1) "
