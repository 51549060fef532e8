/* names - the grammars of the registry: repositories, tags, references, scopes, Content-Range.
 * Sources: OCI dist-spec 1.1 "Pulling manifests", Docker token authentication (scopes). */
#pragma once
#include "base/str.h"
#include "content/content.h"

/* "<project>/<rest>": lower-case words joined by . _ __ or dashes, at least two parts. */
int name_check(struct str name, struct err *e) MUST_USE;
/* The part before the first slash. */
struct str name_project(struct str name);
int tag_check(struct str tag, struct err *e) MUST_USE;

/* What a manifest is asked by: exactly one of the two is set. */
struct reference {
    struct str repository;
    struct str tag; /* p == NULL when asked by digest */
    char digest[CONTENT_DIGEST_MAX];
};

/* The {ref} of a manifest route. */
int reference_of(struct str repository, struct str ref, struct reference *out,
                 struct err *e) MUST_USE;
/* "project/repository[:tag][@digest]"; no tag means latest, a digest wins over a tag. */
int reference_parse(struct str text, struct reference *out, struct err *e) MUST_USE;

enum scope_action { SCOPE_PULL = 1, SCOPE_PUSH = 2, SCOPE_DELETE = 4, SCOPE_ALL = 7 };

struct scope {
    struct str type; /* "repository", "registry" */
    struct str name; /* may hold colons */
    unsigned actions;
};
/* "repository:demo/app:pull,push". Unknown actions are left out, "*" is all of them. */
int scope_parse(struct str text, struct scope *out, struct err *e) MUST_USE;

/* Content-Range of an upload chunk: "0-1023", also "bytes 0-1023/2048" and "bytes 0-1023/\*". Both
 * ends inclusive. */
int chunk_range_parse(struct str text, int64_t *first, int64_t *last, struct err *e) MUST_USE;

/* Names of what stands beside images: other registries, rules, keys, scanners. */
int thing_name_check(struct str name, struct err *e) MUST_USE;
