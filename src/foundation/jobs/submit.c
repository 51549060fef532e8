/* From the text of a spec to a queued row: everything that can be wrong is found here, before the
 * job is accepted, and everything that may change later is pinned. */
#include "jobs/jobs_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "secrets/secrets.h"
#include "volume/volume.h"

#include <stdio.h>
#include <string.h>

struct submit {
    struct jobs *jobs;
    const struct principal *who;
    struct arena *arena;
    struct job_spec spec;
    struct job_pin pin;
    struct job_row *row;
    const struct jobs_own *own;                        /* NULL: a user's */
    size_t secret_bytes[LIMIT_JOB_ENV], secrets_bytes; /* of the values */
};

static int check_project(const struct submit *s, struct str project, struct err *e)
{
    if (s->spec.project && !str_eq_c(project, s->spec.project)) {
        return err_set(e, ERR_INVALID, "project: the job says '%s', but it is submitted to '%.*s'",
                       s->spec.project, STR_ARG(project));
    }
    return 0;
}

/* Totals are constant. */
static void check_machine(const struct submit *s, struct err_list *mistakes)
{
    const struct job_spec *spec = &s->spec;
    const struct machine_need need = {spec->cpu_milli, spec->memory_bytes, spec->gpus};
    const struct job_place places[MACHINE_RESOURCES] = {spec->cpu_at, spec->memory_at,
                                                        spec->gpu_at};
    struct machine_lack lacks[MACHINE_RESOURCES];
    size_t n = jobs_machine_lacks(&s->jobs->machine, &need, lacks);

    for (size_t i = 0; i < n; i++) {
        const struct job_place *at = &places[lacks[i].resource];

        err_list_add(mistakes, at->line, at->column, jobs_machine_key(lacks[i].resource), "%s",
                     lacks[i].text);
    }
}

/* The spec by itself, and against this machine: all mistakes at once. */
static int read_spec(struct submit *s, struct str text, struct err_list *mistakes, struct err *e)
{
    if (job_spec_parse(s->arena, text, &s->spec, mistakes, e) < 0 && mistakes->len == 0) {
        return -1;
    }
    check_machine(s, mistakes);
    return err_list_result(mistakes, "the job", e);
}

static int check_network(const struct submit *s, struct err *e)
{
    const struct cfg *cfg = s->jobs->parts.cfg;

    if (s->spec.network == JOB_NET_HOST && !s->who->is_admin &&
        !(cfg && cfg_bool(cfg, "jobs.host_network"))) {
        return err_set(
            e, ERR_FORBIDDEN,
            "network: 'host' is for administrators, because it shows a job every service "
            "of this machine; take 'bridge', or ask for the setting jobs.host_network");
    }
    return 0;
}

/* Images write it as they like ("app", "/app/"): docker cleans it, the runtime takes clean ones. */
static int check_image_cwd(struct submit *s, struct err *e)
{
    struct job_image *im = &s->pin.image;

    if (im->cwd == NULL || im->cwd[0] == '\0') {
        return 0;
    }
    im->cwd = job_clean_path(s->arena, str_of(im->cwd));
    return s->spec.workdir || runtime_path_ok(str_of(im->cwd))
               ? 0
               : err_set(e, ERR_INVALID, "image: the working directory of '%s' is too long",
                         s->spec.image);
}

static int check_image(struct submit *s, struct err *e)
{
    const struct jobs_hooks *h = &s->jobs->parts.hooks;
    struct job_image *im = &s->pin.image;

    if (s->own && s->own->image) {
        *im = *s->own->image;
    } else if (h->image(h->ctx, s->who, str_of(s->spec.image), s->arena, im, e) < 0) {
        return err_wrap(e, "image");
    }
    if (im->os && *im->os && strcmp(im->os, "linux") != 0) {
        return err_set(e, ERR_INVALID, "image: '%s' is for %s; containers here run linux",
                       s->spec.image, im->os);
    }
    if (im->architecture && *im->architecture && strcmp(im->architecture, s->jobs->arch) != 0) {
        return err_set(e, ERR_INVALID, "image: '%s' is for the architecture %s; this machine is %s",
                       s->spec.image, im->architecture, s->jobs->arch);
    }
    if (im->user && strlen(im->user) > LIMIT_IMAGE_USER_BYTES) {
        return err_set(e, ERR_INVALID, "image: '%s' has a user of more than %d bytes",
                       s->spec.image, LIMIT_IMAGE_USER_BYTES);
    }
    if (s->spec.command == NULL && (im->entrypoint == NULL || im->entrypoint[0] == NULL) &&
        (im->cmd == NULL || im->cmd[0] == NULL) &&
        (s->spec.args == NULL || s->spec.args[0] == NULL)) {
        return err_set(e, ERR_INVALID, "command: is missing, and image '%s' brings none of its own",
                       s->spec.image);
    }
    return check_image_cwd(s, e);
}

/* As containers that mount the whole of it: runtime.h. */
static int check_kept(const struct submit *s, const struct job_volume *v, struct err *e)
{
    struct str rest = v->subpath ? str_of(v->subpath) : STR_EMPTY;

    return s->own || v->read_only || !str_eq(str_cut(&rest, '/'), STR(VOLUME_STUDIO))
               ? 0
               : err_set(e, ERR_INVALID,
                         "pipelines keep in \"%s\" what they made: mount it with mode ro",
                         VOLUME_STUDIO);
}

static int check_volumes(struct submit *s, struct err *e)
{
    struct buf ids = BUF_MAX(LIMIT_JOB_VOLUMES * 66);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->spec.n_volumes; i++) {
        char id[65];

        rc = check_kept(s, &s->spec.volumes[i], e) < 0
                 ? -1
                 : volume_find(s->jobs->parts.volumes, s->row->project_id,
                               str_of(s->spec.volumes[i].name), id, e);
        if (rc < 0) {
            err_wrap(e, "volumes[%zu]", i);
        } else {
            buf_printf(&ids, "%s%s", i > 0 ? " " : "", id);
        }
    }
    s->row->volume_ids = arena_strdup(s->arena, buf_str(&ids));
    buf_done(&ids);
    return rc;
}

/* That they exist; their values are read when the job starts, and never kept. */
static int check_secrets(struct submit *s, struct err *e)
{
    for (size_t i = 0; i < s->spec.n_secrets; i++) {
        struct buf value = BUF_MAX(LIMIT_SECRET_BYTES);
        int rc = secrets_get(s->jobs->parts.secrets, s->row->project_id,
                             str_of(s->spec.secrets[i].value), &value, e);

        s->secret_bytes[i] = value.len;
        s->secrets_bytes += value.len;
        if (value.p) {
            explicit_bzero(value.p, value.cap);
        }
        buf_done(&value);
        if (rc < 0) {
            return err_wrap(e, "secrets.%s", s->spec.secrets[i].name);
        }
    }
    return 0;
}

/* Command and environment as execve(2) will get them: the spec's strings were looked at one by one,
 * but the image's and all together were not. Values of secrets count, as long as they are now. */
static int check_exec(struct submit *s, struct err *e)
{
    const struct job_spec *spec = &s->spec;
    size_t n = 0, from_image = 0;
    const char **env;

    if (s->secrets_bytes > LIMIT_EXEC_BYTES) {
        return err_set(e, ERR_INVALID, "secrets: their values have %zu bytes; Linux takes %llu",
                       s->secrets_bytes, LIMIT_EXEC_BYTES);
    }
    while (s->pin.image.env && s->pin.image.env[from_image]) {
        from_image++;
    }
    env = arena_new_array(s->arena, const char *, from_image + spec->n_env + spec->n_secrets + 1);
    for (; n < from_image; n++) {
        env[n] = s->pin.image.env[n];
    }
    for (size_t i = 0; i < spec->n_env; i++) {
        env[n++] = arena_printf(s->arena, "%s=%s", spec->env[i].name, spec->env[i].value);
    }
    for (size_t i = 0; i < spec->n_secrets; i++) { /* as many blanks */
        env[n++] =
            arena_printf(s->arena, "%s=%*s", spec->secrets[i].name, (int)s->secret_bytes[i], "");
    }
    return runtime_exec_check(jobs_args_of(s->arena, spec, &s->pin.image), env, e) < 0
               ? err_wrap(e, "%s", spec->n_secrets > 0 ? "secrets" : "image")
               : 0;
}

static int write_texts(struct submit *s, struct err *e)
{
    SCOPED(buf_done) struct buf spec = BUF_MAX(LIMIT_SPEC_BYTES);
    SCOPED(buf_done) struct buf pin = BUF_MAX(LIMIT_MANIFEST_BYTES);
    struct jw spec_w = JW(&spec), pin_w = JW(&pin);

    job_spec_json(&s->spec, &spec_w);
    job_pin_json(&s->pin, &pin_w);
    if (spec.failed || pin.failed) {
        return err_set(e, ERR_LIMIT, "the job is larger than %llu bytes as JSON", LIMIT_SPEC_BYTES);
    }
    s->row->spec = arena_strdup(s->arena, buf_str(&spec));
    s->row->pin = arena_strdup(s->arena, buf_str(&pin));
    return 0;
}

static void fill_row(struct submit *s, struct str project)
{
    struct job_row *r = s->row;
    char id[JOB_ID_SIZE] = "j-";

    random_name(id + 2, 8);
    if (s->own) {
        (void)snprintf(id, sizeof(id), "%s", s->own->id);
    }
    r->id = arena_strdup(s->arena, str_of(id));
    r->project = arena_strdup(s->arena, project);
    r->name = s->spec.name;
    r->user = arena_strdup(s->arena, str_of(s->who->name));
    r->image = s->spec.image;
    r->digest = arena_strdup(s->arena, str_of(s->pin.image.digest)); /* the row outlives *s */
    r->reason = arena_printf(s->arena, "submitted by %s", r->user);
    r->state = JOB_QUEUED;
    r->attempt = 1;
    r->retries = s->spec.retries;
    r->cpu_milli = s->spec.cpu_milli;
    r->memory_bytes = s->spec.memory_bytes;
    r->gpus = s->spec.gpus;
    r->timeout_ms = s->spec.timeout_sec * 1000;
    r->grace_ms = s->spec.grace_sec * 1000;
    r->created_ms = clock_wall_ms();
}

static int insert_row(struct state_db *db, void *ctx, struct err *e)
{
    struct submit *s = ctx;

    return job_store_insert(db, s->row, e);
}

/* Whoever submits a job of his own looks for it by its name, and submits it again when it is not
 * there; before its container comes another change is synced. */
static int write_row(struct submit *s, struct err *e)
{
    struct state *state = s->jobs->parts.state;

    return s->own ? state_write_lazy(state, insert_row, s, e)
                  : state_write(state, insert_row, s, e);
}

static int reserve_place(struct jobs *j, struct err *e)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    if (j->queue.len + j->n_submitting >= LIMIT_JOBS_QUEUED) {
        return err_set(e, ERR_THROTTLED, "%d jobs wait already: submit again when some are done",
                       LIMIT_JOBS_QUEUED);
    }
    j->n_submitting++;
    return 0;
}

static void give_place_back(struct jobs *j)
{
    struct lock *l = &j->lock;

    WITH_LOCK(l);
    j->n_submitting--;
}

/* The event goes out first: once the job is in the queue it may be gone at any moment. */
static void enter_queue(struct jobs *j, const struct job_row *row)
{
    struct job *job = job_new(row);
    struct lock *l = &j->lock;

    log_info("job.submitted", "job=%s project=%s user=%s image=%s", row->id, row->project,
             row->user, Q(str_of(row->image)));
    jobs_publish(j, job, JOB_QUEUED);
    WITH_LOCK(l);
    j->n_submitting--;
    j->n_submitted++;
    (void)map_put(&j->by_id, str_of(job->id), job);
    jobs_queue_add(&j->queue, job);
    lock_broadcast(l);
}

static void no_container(void *ctx UNUSED, struct str id UNUSED, int64_t attempt UNUSED,
                         int64_t tries UNUSED)
{
}

static int forget_row(struct state_db *db, void *ctx, struct err *e)
{
    const struct submit *s = ctx;
    const struct job_row *r = s->row;
    struct job_change c = {.seq = r->seq,
                           .attempt = r->attempt,
                           .at_ms = clock_wall_ms(),
                           .n_steps = 1,
                           .steps = {{.to = JOB_CANCELLED, .reason = "its project is deleted"}},
                           .outcome = {.state = JOB_CANCELLED}};

    return job_store_apply(db, &c, e) < 0
               ? -1
               : job_store_delete(db, r->project_id, str_of(r->id), no_container, NULL, e);
}

/* The project may be on its way out since we looked. Its end forgets every row that is written by
 * then, so ours goes too: a job must not run in a project that nobody can see. */
static int check_project_is_there(struct submit *s, struct str project, struct err *e)
{
    const struct jobs_hooks *h = &s->jobs->parts.hooks;
    struct err why;
    uint32_t id_base;
    int64_t id = 0;
    int rc = h->project(h->ctx, project, &id, &id_base, &why);

    if (rc == 0 ? id == s->row->project_id : why.kind != ERR_NOT_FOUND) {
        return 0;
    }
    (void)!state_write(s->jobs->parts.state, forget_row, s, &why);
    return err_set(e, ERR_NOT_FOUND, "project %.*s is being deleted", STR_ARG(project));
}

static int submit(struct submit *s, struct str project, struct str text, struct err_list *mistakes,
                  struct err *e)
{
    struct jobs *j = s->jobs;
    const struct jobs_hooks *h = &j->parts.hooks;

    *s->row = (struct job_row){0};
    if (read_spec(s, text, mistakes, e) < 0 || check_project(s, project, e) < 0 ||
        check_network(s, e) < 0 ||
        h->project(h->ctx, project, &s->row->project_id, &s->pin.id_base, e) < 0 ||
        check_image(s, e) < 0 || check_volumes(s, e) < 0 || check_secrets(s, e) < 0 ||
        check_exec(s, e) < 0 || write_texts(s, e) < 0 || reserve_place(j, e) < 0) {
        return -1;
    }
    fill_row(s, project);
    if (write_row(s, e) < 0 || check_project_is_there(s, project, e) < 0) {
        give_place_back(j);
        return err_wrap(e, "the job was not accepted");
    }
    enter_queue(j, s->row);
    return 0;
}

int jobs_submit(struct jobs *j, const struct principal *who, struct str project, struct str text,
                struct err_list *mistakes, struct arena *a, struct job_row *out, struct err *e)
{
    struct submit s = {.jobs = j, .who = who, .arena = a, .row = out};

    return submit(&s, project, text, mistakes, e);
}

int jobs_submit_own(struct jobs *j, const struct jobs_own *o, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    SCOPED(err_list_done) struct err_list mistakes = {0};
    struct job_row row;
    struct submit s = {.jobs = j, .who = o->who, .arena = &a, .row = &row, .own = o};

    return submit(&s, o->project, o->spec, &mistakes, e);
}

int jobs_image(struct jobs *j, const struct principal *who, struct str reference, struct arena *a,
               struct job_image *out, struct err *e)
{
    const struct jobs_hooks *h = &j->parts.hooks;

    return h->image(h->ctx, who, reference, a, out, e);
}
