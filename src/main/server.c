/* The role server: user strata, every socket and every parser; it can neither fork nor exec. */
#include "main/main_priv.h"

#include "access/access.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobs/jobs.h"
#include "main/wire.h"
#include "metrics/api/metrics.h"
#include "net/http.h"
#include "pipeline/pipeline.h"
#include "registry/registry.h"
#include "replication/replication.h"
#include "webhooks/webhooks.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DRAIN_MS = 5000, HOUSEKEEP_SEC = 60, FIRST_HOUSEKEEP_SEC = 3 };

const struct cfg_item server_config[] = {
    {"net.listen", CFG_STRING, "127.0.0.1:8080",
     "Address and port of the API, the registry and the console."},
    {"net.tls_cert", CFG_STRING, "",
     "Certificate chain (PEM) for HTTPS; empty serves plain HTTP. Read by the user strata."},
    {"net.tls_key", CFG_STRING, "",
     "Private key (PEM) of net.tls_cert, readable by the user strata."},
    {"net.trusted_proxies", CFG_STRING, "",
     "Addresses or CIDR, separated by commas, whose X-Forwarded-* headers are believed."},
    {"net.public_host", CFG_STRING, "",
     "Under which name others reach this server, as names of images begin (HOST or HOST:PORT); "
     "empty: net.listen, or the machine's name when that is all addresses."},
    {"net.outbound_deny", CFG_STRING,
     "0.0.0.0/8,169.254.0.0/16,100.100.100.200,168.63.129.16,::,fe80::/10,fd00:ec2::254,"
     "64:ff9b::169.254.0.0/112,2002:a9fe::/32",
     "Addresses or CIDR, separated by commas, where webhooks, replication, scraping and other "
     "requests of the server do not go: by default nobody's, of the link alone, and where clouds "
     "keep keys."},
    {"net.import_deny", CFG_STRING, "127.0.0.0/8,::1",
     "More addresses where import steps of pipelines do not go: what they read is shown to whoever "
     "may run pipelines. By default what only this machine reaches."},
    {0},
};

const struct cfg_item *const all_config[] = {
    server_config, access_config,  registry_config, replication_config, webhooks_config,
    jobs_config,   metrics_config, exporter_config, pipeline_config,    NULL};

enum { PASSWORD_LETTERS = 20 };

/* The password of a first start that was interrupted, or a new one, where only root and strata can
 * read it. Written before the user is made: a crash in between loses nothing. */
static int keep_password(struct buf *password, struct err *e)
{
    char letters[PASSWORD_LETTERS + 1], line[PASSWORD_LETTERS + 2];
    int rc;

    if (fs_read(AT_FDCWD, "admin.password", password, e) == 0 && password->len > PASSWORD_LETTERS) {
        password->p[PASSWORD_LETTERS] = '\0';
        password->len = PASSWORD_LETTERS;
        return 0;
    }
    random_name(letters, PASSWORD_LETTERS);
    (void)snprintf(line, sizeof(line), "%s\n", letters);
    buf_clear(password);
    buf_add_c(password, letters);
    rc = fs_write_atomic(AT_FDCWD, "admin.password", str_of(line), 0600, e);
    explicit_bzero(letters, sizeof(letters));
    explicit_bzero(line, sizeof(line));
    return rc;
}

static int first_start(struct wire *w, const struct boot *b, struct err *e)
{
    SCOPED(buf_done) struct buf password = BUF_MAX(64);
    int first = wire_is_first_start(w, e);
    int rc;

    if (first < 0 || (first == 0 && !b->reset_admin)) {
        return first;
    }
    if (first == 0) {
        (void)unlink("admin.password"); /* of a password that is not to be used again */
    }
    rc = keep_password(&password, e);
    if (rc == 0) {
        rc = first > 0 ? wire_bootstrap(w, buf_str(&password), e)
                       : wire_reset_admin(w, buf_str(&password), e);
    }
    explicit_bzero(password.p, password.len);
    if (rc < 0) {
        return err_wrap(e, "the user admin");
    }
    log_info(first > 0 ? "server.first_start" : "server.admin_reset",
             "user=admin password_file=%s/admin.password", b->state_dir);
    return 0;
}

/* One descriptor a connection: all that the hard limit allows. */
static void raise_open_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Housekeeping until a signal asks us to stop; soon after the start too, for what became due while
 * we were down, and where restarts are frequent. */
static void wait_for_stop(struct wire *w, const sigset_t *stop)
{
    struct timespec pause = {.tv_sec = FIRST_HOUSEKEEP_SEC};

    for (;;) {
        int sig = sigtimedwait(stop, NULL, &pause);

        if (sig > 0) {
            log_info("server.stopping", "signal=%d", sig);
            return;
        }
        if (errno == EAGAIN) {
            wire_housekeep(w);
            pause.tv_sec = HOUSEKEEP_SEC;
        }
    }
}

static int serve(const struct boot *b, int socket, const sigset_t *stop, struct err *e)
{
    int64_t began_ms = clock_mono_ms();
    struct wire *w;

    raise_open_files();
    /* One heap: small pieces a thread has at hand anyway, and in heaps of their own stays what the
     * other threads could use (a series of the metrics took 1.04 KB with them, 0.87 KB without). */
    (void)mallopt(M_ARENA_MAX, 1);
    if (confine_drop(b->uid, b->gid, e) < 0 || confine_no_exec(e) < 0) {
        return -1;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* a change of user clears it */
    w = wire_open(b, socket, e);
    if (w == NULL) {
        return -1;
    }
    if (first_start(w, b, e) < 0 || http_server_start(wire_http(w), e) < 0) {
        wire_close(w);
        return -1;
    }
    wire_serves(w, b->cfg);
    log_info("server.ready", "port=%u start_ms=%lld state=%s", http_server_port(wire_http(w)),
             (long long)(clock_mono_ms() - began_ms), b->state_dir);
    wait_for_stop(w, stop);
    http_server_drain(wire_http(w), DRAIN_MS);
    wire_close(w);
    return 0;
}

int server_role(const struct boot *b, int socket)
{
    sigset_t stop;
    struct err e;

    (void)umask(027);
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL); /* threads inherit: only wait_for_stop takes them */
    if (serve(b, socket, &stop, &e) < 0) {
        log_error("server.failed", "%s", e.msg);
        return err_exit_code(e.kind);
    }
    return 0;
}
