/* manifest - what a pushed manifest says: parsed and checked, before anything is stored.
 * Sources: OCI image-spec 1.1 (manifest.md, image-index.md), Docker image manifest v2 schema 2. */
#pragma once
#include "base/arena.h"
#include "content/content.h"

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

enum { MANIFEST_DESCRIPTORS_MAX = 16384 };

struct descriptor {
    struct str media_type;
    char digest[CONTENT_DIGEST_MAX];
    int64_t size_bytes;
    struct str os, architecture, variant; /* of an index entry's platform; empty when missing */
    bool foreign;                         /* a layer that may live elsewhere only */
};

struct manifest {
    const char *media_type; /* one of MEDIA_*; static */
    bool is_index;
    struct str artifact_type;  /* artifactType, else the config's media type; may be empty */
    struct descriptor config;  /* not of an index */
    struct descriptor *layers; /* not of an index */
    size_t n_layers;
    struct descriptor *children; /* of an index */
    size_t n_children;
    char subject[CONTENT_DIGEST_MAX]; /* "" without */
    struct str annotations;           /* the JSON object, or p == NULL */
};

/* `content_type` may be empty: then the mediaType inside decides. Everything is copied into the
 * arena. Docker schema 1 and unknown types: ERR_INVALID. */
int manifest_parse(struct arena *a, struct str content_type, struct str body, struct manifest *out,
                   struct err *e) MUST_USE;
/* jansson takes some 100 bytes for a value of two: refuses texts with too many values. */
int json_count_check(struct str text, struct err *e) MUST_USE;
