/* container - the containers of this machine, of whichever engine, by their cgroups. */
#pragma once
#include "exporter/collect.h"

enum container_engine {
    ENGINE_DOCKER,
    ENGINE_CONTAINERD,
    ENGINE_CRIO,
    ENGINE_PODMAN,
    ENGINE_STRATA
};

struct container_kind {
    enum container_engine engine;
    struct str id; /* view into the name */
};

/* Whether the cgroup `name` in `parent` ("kubepods.slice/...") is that of a container. */
bool container_recognize(const char *parent, const char *name, struct container_kind *out);

/* Owned; NULL: there is none. */
struct container_names {
    char *name, *image;
    char *namespace, *pod, *container; /* Kubernetes */
    char *project, *job, *user;        /* Strata */
    uint64_t gpus;                     /* bit i: /dev/nvidia<i> */
};
/* False when the engine's own note cannot be read (yet); the name is the id then. */
bool container_names_find(struct node *n, const struct container_kind *kind,
                          struct container_names *out);
void container_names_done(struct container_names *c);
void container_label(struct buf *labels, const struct container_names *c);

/* Names of the containers of Strata that run now, in the node's arena. */
struct container_list {
    struct container_names *p;
    size_t len;
};
void containers_of_strata(struct node *n, struct container_list *out);
