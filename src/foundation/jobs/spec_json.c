/* Specs as JSON. */
#include "jobs/spec_priv.h"

#include "base/limits.h"

#include <stdio.h>
#include <string.h>

const char *const job_network_names[JOB_NETS] = {"none", "bridge", "host"};

struct yaml_node *job_spec_nodes(struct arena *a, struct str text, struct err *e)
{
    return yaml_parse_or_json(a, text, LIMIT_SPEC_BYTES, YAML_NODES_MAX, e);
}

static void write_list(struct jw *w, const char *key, const char *const *list)
{
    if (list == NULL) {
        return;
    }
    jw_key(w, key);
    jw_array(w);
    for (; *list; list++) {
        jw_str(w, str_of(*list));
    }
    jw_end(w);
}

static void write_vars(struct jw *w, const char *key, const struct job_var *vars, size_t n)
{
    if (n == 0) {
        return;
    }
    jw_key(w, key);
    jw_object(w);
    for (size_t i = 0; i < n; i++) {
        jw_kv_c(w, vars[i].name, vars[i].value);
    }
    jw_end(w);
}

static void write_seconds(struct jw *w, const char *key, int64_t sec)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llds", (long long)sec);
    jw_kv_c(w, key, text);
}

static void write_resources(struct jw *w, const struct job_spec *s)
{
    char cpu[32];

    jw_key(w, "resources");
    jw_object(w);
    if (s->cpu_milli % 1000 == 0) {
        jw_kv_i64(w, "cpu", s->cpu_milli / 1000);
    } else {
        (void)snprintf(cpu, sizeof(cpu), "%lldm", (long long)s->cpu_milli);
        jw_kv_c(w, "cpu", cpu);
    }
    jw_kv_i64(w, "memory", s->memory_bytes);
    jw_kv_i64(w, "gpu", s->gpus);
    jw_kv_i64(w, "pids", s->pids);
    jw_end(w);
}

static void write_volumes(struct jw *w, const struct job_spec *s)
{
    if (s->n_volumes == 0) {
        return;
    }
    jw_key(w, "volumes");
    jw_array(w);
    for (size_t i = 0; i < s->n_volumes; i++) {
        jw_object(w);
        jw_kv_c(w, "name", s->volumes[i].name);
        jw_kv_c(w, "path", s->volumes[i].path);
        jw_kv_c(w, "mode", s->volumes[i].read_only ? "ro" : "rw");
        if (s->volumes[i].subpath) {
            jw_kv_c(w, "subpath", s->volumes[i].subpath);
        }
        jw_end(w);
    }
    jw_end(w);
}

void job_spec_json(const struct job_spec *s, struct jw *w)
{
    jw_object(w);
    jw_kv_c(w, "name", s->name);
    if (s->project) {
        jw_kv_c(w, "project", s->project);
    }
    jw_kv_c(w, "image", s->image);
    write_list(w, "command", s->command);
    write_list(w, "args", s->args);
    write_vars(w, "env", s->env, s->n_env);
    write_vars(w, "secrets", s->secrets, s->n_secrets);
    if (s->workdir) {
        jw_kv_c(w, "workdir", s->workdir);
    }
    write_resources(w, s);
    write_volumes(w, s);
    jw_kv_c(w, "network", job_network_names[s->network]);
    if (s->timeout_sec > 0) {
        write_seconds(w, "timeout", s->timeout_sec);
    }
    write_seconds(w, "grace", s->grace_sec);
    jw_kv_i64(w, "retries", s->retries);
    jw_end(w);
}
