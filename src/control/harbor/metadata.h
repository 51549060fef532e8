/* metadata - what Harbor keeps as texts about a project, here its publicity and its rules. */
#pragma once
#include "harbor_priv.h"
#include "supply/rows.h"

/* What a body asks for beside the name of a project. */
struct project_wish {
    enum change is_public, signed_only, blocks, scans, no_list; /* no_list: that of the system */
    enum severity severity;                                     /* SEV_UNKNOWN: not said */
    bool has_allowed;
    const json_t *allowed; /* items of a list of ids, of the body */
    int64_t storage;       /* 0: not said; < 0: the default */
    int64_t registry_id;   /* 0: no cache */
};
/* `body` must outlive *out. */
int project_wish_read(const json_t *body, struct project_wish *out, struct err *e) MUST_USE;
/* Whether a project without rules could follow it: before one is made. */
int project_wish_check(struct http_req *r, const struct project_wish *c, struct err *e) MUST_USE;
/* All but storage and registry_id, of the project that the path or the body names. */
int project_wish_follow(struct http_req *r, int64_t id, const struct project_wish *c,
                        struct err *e) MUST_USE;

struct project_facts {
    int64_t id, created_ms;
    bool is_public, has_retention; /* its retention has its id */
    struct trust_policy rules;
};
void metadata_write(struct jw *w, const struct project_facts *f);
void allowlist_write(struct jw *w, const struct project_facts *f);
