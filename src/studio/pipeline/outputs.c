/* Files of a step: its own directory while it runs, the key's directory when it is done. What lies
 * in a volume is hostile: whoever may write there may put links and devices in our place. */
#include "pipeline/output_check.h"
#include "pipeline/pipeline_priv.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "volume/volume.h"

#include <string.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024 };

int hash_file(struct pipelines *s, const struct run *r, struct str volume,
              const struct volume_file_info *f, enum hash_promise promise, char hex[65],
              struct err *e)
{
    struct file_name name = {.project_id = r->row.project_id,
                             .inode = f->inode,
                             .size_bytes = f->size_bytes,
                             .modified_ns = f->modified_ns,
                             .changed_ns = f->changed_ns,
                             .is_synced = promise == HASH_SYNCED};

    return str_copy(volume, name.volume, sizeof(name.volume)) < 0
               ? err_set(e, ERR_INVALID, "the name of the volume is too long")
               : hashes_ask(s, &name, r->row.id, f->fd, hex, e);
}

static struct str tmp_dir(struct arena *a, const struct run_node *n)
{
    return str_of(step_tmp_dir(a, n));
}

/* Of all steps that share the job. */
static struct str job_dir(struct arena *a, const struct run_node *n)
{
    return str_of(arena_printf(a, STUDIO_DIR "/tmp/%s", n->row.job));
}

static struct str key_dir(struct arena *a, const struct run_node *n)
{
    return str_of(arena_printf(a, STUDIO_DIR "/%s", n->row.key));
}

static const char *preview_of(struct arena *a, struct str dir, const struct port *port)
{
    return arena_printf(a, "%.*s/%s.preview.json", STR_ARG(dir), port->name);
}

/* --- as JSON: {"table":{"type","rows","columns","bytes","sha256","preview"}} --- */

const char *outputs_json(const struct run *r, struct run_node *n, bool with_marks)
{
    SCOPED(buf_done) struct buf out = BUF_MAX(64 * KIB);
    const struct module *m = run_module(r, n);
    struct jw writer = JW(&out), *w = &writer;

    jw_object(w);
    for (size_t i = 0; m->outputs[i].name; i++) {
        const struct step_output *o = &n->outputs[i];

        if (o->sha256[0] == '\0') {
            continue; /* the step may leave it out, and did */
        }
        jw_key(w, m->outputs[i].name);
        jw_object(w);
        jw_kv_c(w, "type", value_type_name(m->outputs[i].type));
        if (o->rows >= 0) {
            jw_kv_i64(w, "rows", o->rows);
            jw_kv_i64(w, "columns", o->columns);
        }
        jw_kv_i64(w, "bytes", o->bytes);
        jw_kv_c(w, "sha256", o->sha256);
        jw_kv_bool(w, "preview", o->has_preview);
        if (with_marks) {
            jw_kv_i64(w, "inode", o->inode);
            jw_kv_i64(w, "changed_ns", o->changed_ns);
        }
        jw_end(w);
    }
    jw_end(w);
    return arena_strdup(&n->arena, buf_str(&out));
}

static int64_t number_at(const json_t *o, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(o, key);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* -1: not what outputs_json wrote for this module. */
int outputs_parse(const struct module *m, const char *json, struct step_output *out)
{
    struct err e;
    SCOPED(json_decrefp) json_t *all = json ? json_parse(str_of(json), &e) : NULL;

    for (size_t i = 0; m->outputs[i].name; i++) {
        const json_t *one = json_object_get(all, m->outputs[i].name);
        const char *sha = json_string_value(json_object_get(one, "sha256"));

        out[i] = (struct step_output){.bytes = number_at(one, "bytes", -1),
                                      .rows = number_at(one, "rows", -1),
                                      .columns = number_at(one, "columns", -1),
                                      .inode = number_at(one, "inode", -1),
                                      .changed_ns = number_at(one, "changed_ns", -1),
                                      .has_preview = json_is_true(json_object_get(one, "preview"))};
        if (one == NULL && json && (m->outputs[i].flags & PORT_OPTIONAL)) {
            continue;
        }
        if (sha == NULL || str_copy(str_of(sha), out[i].sha256, sizeof(out[i].sha256)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- there or not --- */

static int open_output(struct pipelines *s, const struct run *r, const char *path,
                       struct volume_file_info *f, struct err *e)
{
    struct volume_ref ref = run_volume(r);

    return volume_file_open(s->parts.volumes, &ref, str_of(path), VOLUME_LINKS_REFUSED, f, e);
}

/* Hashed again only when somebody touched it, or it comes from a backup. */
static int is_as_it_was(struct pipelines *s, const struct run *r, const struct volume_file_info *f,
                        struct step_output *o, struct err *e)
{
    char hex[65];
    int rc;

    if (f->size_bytes != o->bytes) {
        return 0;
    }
    if ((int64_t)f->inode == o->inode && f->changed_ns == o->changed_ns) {
        return 1;
    }
    rc = hash_file(s, r, str_of(r->doc.volume), f, HASH_READ, hex, e);
    if (rc == 1 && strcmp(hex, o->sha256) != 0) {
        return 0;
    }
    if (rc == 1) {
        o->inode = (int64_t)f->inode;
        o->changed_ns = f->changed_ns;
    }
    return rc;
}

/* What cannot be opened lies elsewhere, or something else is in its place. */
int output_is_there(struct pipelines *s, const struct run *r, struct run_node *n, int port,
                    struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct volume_file_info f;
    int rc;

    if (open_output(s, r, step_file(&a, n, &run_module(r, n)->outputs[port]), &f, e) < 0) {
        return step_error_passes(e) ? -1 : 0;
    }
    rc = is_as_it_was(s, r, &f, &n->outputs[port], e);
    (void)close(f.fd);
    return rc;
}

int outputs_there(struct pipelines *s, const struct run *r, struct run_node *n, const char *outputs,
                  struct err *e)
{
    const struct module *m = run_module(r, n);

    if (outputs_parse(m, outputs, n->outputs) < 0) {
        return 0;
    }
    for (size_t i = 0; m->outputs[i].name; i++) {
        int rc = n->outputs[i].sha256[0] ? output_is_there(s, r, n, (int)i, e)
                                         : !output_is_needed(r, n, i);

        if (rc != 1) {
            return rc;
        }
    }
    return 1;
}

int outputs_prepare(struct pipelines *s, const struct run *r, const struct run_node *n,
                    struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct volume_ref ref = run_volume(r);

    return volume_make(s->parts.volumes, str_of(r->row.project), &ref, e) < 0 ||
                   volume_discard(s->parts.volumes, &ref, job_dir(&a, n), e) < 0
               ? -1
               : volume_dir_make(s->parts.volumes, &ref, job_dir(&a, n), e);
}

/* --- done --- */

/* A step behind may wait for it. */
static int output_left_out(const struct run *r, const struct run_node *n, size_t i,
                           struct step_output *o, struct err *e)
{
    o->sha256[0] = '\0';
    return output_is_needed(r, n, i)
               ? err_set(e, ERR_INVALID,
                         "the step ended well, but did not make its output %s, which a step behind "
                         "it needs",
                         run_module(r, n)->outputs[i].name)
               : 1;
}

/* While it is being hashed it is looked at again and again. */
static bool is_checked(const struct step_output *o, const struct volume_file_info *f)
{
    return o->is_checked && o->inode == (int64_t)f->inode && o->changed_ns == f->changed_ns &&
           o->bytes == f->size_bytes;
}

/* Our own modules sync what they write; of somebody else's nobody knows. */
static enum hash_promise promise_of(const struct run_node *n)
{
    return n->row.image ? HASH_SYNCED : HASH_READ;
}

static int look_at_output(struct pipelines *s, const struct run *r, struct run_node *n, size_t i,
                          struct str dir, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    const struct port *port = &run_module(r, n)->outputs[i];
    struct step_output *o = &n->outputs[i];
    struct volume_file_info f;
    struct err none;
    int rc;

    if (open_output(
            s, r, arena_printf(&a, "%.*s/%s%s", STR_ARG(dir), port->name, step_suffix(port->type)),
            &f, e) < 0) {
        return e->kind == ERR_NOT_FOUND && (port->flags & PORT_OPTIONAL)
                   ? output_left_out(r, n, i, o, e)
                   : err_wrap(e, "the step ended well, but its output %s is no file", port->name);
    }
    if (!is_checked(o, &f) && output_check(r, n, i, &f, o, e) < 0) {
        (void)close(f.fd);
        return -1;
    }
    o->bytes = f.size_bytes;
    o->inode = (int64_t)f.inode;
    o->changed_ns = f.changed_ns;
    o->is_checked = true;
    rc = hash_file(s, r, str_of(r->doc.volume), &f, promise_of(n), o->sha256, e);
    (void)close(f.fd);
    o->has_preview = open_output(s, r, preview_of(&a, dir, port), &f, &none) == 0;
    if (o->has_preview) {
        (void)close(f.fd);
    }
    return rc;
}

void outputs_drop(struct pipelines *s, const struct run *r, const struct run_node *n)
{
    SCOPED(arena_done) struct arena a = {0};
    struct volume_ref ref = run_volume(r);
    struct err e;

    if (n->row.job && volume_discard(s->parts.volumes, &ref, job_dir(&a, n), &e) < 0) {
        log_warn("pipeline.leftover", "run=%lld node=%s error=%s, leaving it", (long long)r->row.id,
                 n->row.node, Q(str_of(e.msg)));
    }
}

/* Whether the renaming is done and we were ended after it: nothing lies where the job wrote. */
static int is_moved_already(struct pipelines *s, const struct run *r, struct run_node *n,
                            struct arena *a, struct err *e)
{
    struct volume_ref ref = run_volume(r);
    struct volume_file_info f;

    if (volume_file_open(s->parts.volumes, &ref, tmp_dir(a, n), VOLUME_LINKS_REFUSED, &f, e) == 0) {
        (void)close(f.fd);
        return 0;
    }
    return e->kind == ERR_NOT_FOUND ? 1
           : step_error_passes(e)   ? -1
                                    : 0; /* a directory: a conflict */
}

int outputs_look(struct pipelines *s, const struct run *r, struct run_node *n, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    const struct module *m = run_module(r, n);
    int is_moved = is_moved_already(s, r, n, &a, e);

    for (size_t i = 0; is_moved >= 0 && m->outputs[i].name; i++) {
        n->outputs[i].rows = n->outputs[i].sha256[0] ? n->outputs[i].rows : -1;
        int rc = look_at_output(s, r, n, i, is_moved ? key_dir(&a, n) : tmp_dir(&a, n), e);

        if (rc != 1) {
            return rc;
        }
    }
    return is_moved;
}

/* What lies there is of users, or of a try that was interrupted. */
int outputs_move(struct pipelines *s, const struct run *r, const struct run_node *n, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct volume_ref ref = run_volume(r);

    if (volume_rename(s->parts.volumes, &ref, tmp_dir(&a, n), key_dir(&a, n), e) == 0) {
        return 0;
    }
    return e->kind != ERR_CONFLICT || volume_remove(s->parts.volumes, &ref, key_dir(&a, n), e) < 0
               ? -1
               : volume_rename(s->parts.volumes, &ref, tmp_dir(&a, n), key_dir(&a, n), e);
}
