/* spec, inside: the two files that read and write it. */
#pragma once
#include "base/yaml.h"
#include "jobs/spec.h"

extern const char *const job_network_names[JOB_NETS];

/* YAML or JSON as one tree, in the arena. */
struct yaml_node *job_spec_nodes(struct arena *a, struct str text, struct err *e) MUST_USE;
