#include "runtime/runtime_priv.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

/*   container's eth0 ── veth ── bridge strata0 (10.88.0.1/16) ── masquerade ── the host's network
 *
 * Ports of the bridge are isolated: containers reach the world and the host, not each other.
 * On disk, gone after a reboot as the bridge is: /run/strata-<instance>/net/{subnet, <address>,
 * id-<container>}. `lock` there is held while any of it changes. */

#define PROGRAM_DEADLINE_MS 10000

struct bridge {
    char name[16];
    unsigned second; /* 10.<second>.0.0/16 */
    int dir;         /* /run/strata-<instance>/net */
    int lock;
};

static void bridge_done(struct bridge *b)
{
    closep(&b->lock);
    closep(&b->dir);
}

/* --- programs --- */

static const char *const ip_paths[] = {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", NULL};
static const char *const nft_paths[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", NULL};

static const char *find_program(const char *const *paths, const char *package, struct err *e)
{
    for (size_t i = 0; paths[i]; i++) {
        if (access(paths[i], X_OK) == 0) {
            return paths[i];
        }
    }
    err_set(e, ERR_UNAVAILABLE,
            "network bridge needs %s, which is not installed: run `apt-get install %s`", paths[0],
            package);
    return NULL;
}

/* In the child. `netns` is -1 for the host's. */
static void exec_in(const char *const *argv, int netns, int input, int output)
{
    static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

    if ((netns >= 0 && setns(netns, CLONE_NEWNET) < 0) || dup2(input, 0) < 0 ||
        dup2(output, 1) < 0 || dup2(output, 2) < 0) {
        _exit(126);
    }
    (void)execve(argv[0], (char *const *)argv, (char *const *)env);
    _exit(127);
}

/* What a program said until it closed its end, within the deadline. */
static void read_said(int fd, char *out, size_t size)
{
    int64_t deadline = clock_mono_ms() + PROGRAM_DEADLINE_MS;
    size_t len = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - clock_mono_ms();
        char block[512];
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) <= 0 || (n = read(fd, block, sizeof(block))) <= 0) {
            break;
        }
        for (ssize_t i = 0; i < n && len < size - 1; i++) {
            out[len++] = block[i] == '\n' ? ' ' : block[i];
        }
    }
    out[len] = '\0';
}

/* Runs argv with `script` on its standard input, which is smaller than a pipe holds. */
static int run_script(const char *const *argv, int netns, struct str script, struct err *e)
{
    SCOPED(closep) int said_reader = -1;
    char said[200];
    int in[2], out[2], status = 0;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0) {
        return err_sys(e, "pipe");
    }
    if (pipe2(out, O_CLOEXEC) < 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return err_sys(e, "pipe");
    }
    said_reader = out[0];
    pid = fork();
    if (pid == 0) {
        exec_in(argv, netns, in[0], out[1]);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    (void)!write(in[1], script.p, script.len);
    (void)close(in[1]);
    if (pid < 0) {
        return err_sys(e, "fork");
    }
    read_said(said_reader, said, sizeof(said));
    (void)kill(pid, SIGKILL); /* nothing when it ended; the end of one that hangs otherwise */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return err_set(e, ERR_UNAVAILABLE, "network bridge: %s says: %s", argv[0],
                       said[0] ? said : "nothing, and failed");
    }
    return 0;
}

static int run_ip(int netns, const struct buf *script, struct err *e)
{
    const char *argv[] = {find_program(ip_paths, "iproute2", e), "-batch", "-", NULL};

    return argv[0] == NULL ? -1 : run_script(argv, netns, buf_str(script), e);
}

/* --- the bridge --- */

/* Is 10.<second>.0.0/16 in the routing table? proc(5) net/route: the destination is the second
 * column, in hexadecimal and the machine's byte order. */
static bool subnet_taken(struct str routes, unsigned second)
{
    (void)str_cut(&routes, '\n');
    while (routes.p) {
        struct str line = str_cut(&routes, '\n');
        char text[9] = "";
        uint32_t address;

        (void)str_cut(&line, '\t');
        if (line.p && str_copy(str_cut(&line, '\t'), text, sizeof(text)) == 0) {
            address = ntohl((uint32_t)strtoul(text, NULL, 16));
            if (address >> 16 == (10U << 8 | second)) {
                return true;
            }
        }
    }
    return false;
}

static int choose_subnet(struct bridge *b, struct err *e)
{
    struct buf routes = BUF_MAX(4 * MIB);
    int rc = fs_read(AT_FDCWD, "/proc/net/route", &routes, e);

    for (b->second = 88; rc == 0 && subnet_taken(buf_str(&routes), b->second); b->second++) {
        if (b->second == 127) {
            rc = err_set(e, ERR_UNAVAILABLE,
                         "network bridge: 10.88.0.0 to 10.127.0.0 are all taken");
        }
    }
    buf_done(&routes);
    return rc;
}

static bool link_exists(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/sys/class/net/%s", name);
    return access(path, F_OK) == 0;
}

static int add_link(struct bridge *b, struct err *e)
{
    struct buf text = BUF_MAX(4 * KIB);
    int rc = 0;

    if (link_exists(b->name)) { /* half made, or made by an instance that lost its notes */
        (void)buf_printf(&text, "link del %s\n", b->name);
        rc = run_ip(-1, &text, e);
        buf_clear(&text);
    }
    if (rc == 0) {
        rc = choose_subnet(b, e);
    }
    (void)buf_printf(&text,
                     "link add %s type bridge\naddr add 10.%u.0.1/16 dev %s\nlink set %s up\n",
                     b->name, b->second, b->name, b->name);
    if (rc == 0) {
        rc = run_ip(-1, &text, e);
    }
    buf_done(&text);
    return rc;
}

static int make_bridge(struct bridge *b, struct err *e)
{
    struct buf text = BUF_MAX(4 * KIB);
    const char *argv[] = {find_program(nft_paths, "nftables", e), "-f", "-", NULL};
    int rc = argv[0] ? add_link(b, e) : -1;

    (void)buf_printf(
        &text,
        "add table ip %s\ndelete table ip %s\ntable ip %s {\n"
        " chain nat { type nat hook postrouting priority 100;\n"
        "  ip saddr 10.%u.0.0/16 oifname != \"%s\" masquerade; }\n"
        " chain forward { type filter hook forward priority -1;\n"
        "  iifname \"%s\" accept; oifname \"%s\" ct state established,related accept;\n"
        "  oifname \"%s\" drop; }\n}\n",
        b->name, b->name, b->name, b->second, b->name, b->name, b->name, b->name);
    if (rc == 0) {
        rc = run_script(argv, -1, buf_str(&text), e);
    }
    buf_clear(&text);
    (void)buf_printf(&text, "%u\n", b->second);
    if (rc == 0) {
        rc = fs_write_atomic(b->dir, "subnet", buf_str(&text), 0600, e);
    }
    buf_done(&text);
    return rc;
}

static int allow_forwarding(struct err *e)
{
    SCOPED(closep) int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "1", 1) != 1) {
        err_sys(e, "network bridge: set net.ipv4.ip_forward");
        e->kind = ERR_UNAVAILABLE;
        return -1;
    }
    return 0;
}

static bool parse_subnet(struct str text, uint64_t *out)
{
    return str_to_u64(str_cut(&text, '\n'), out) == 0 && *out < 256;
}

static bool read_subnet(struct bridge *b)
{
    struct buf text = BUF_MAX(16);
    struct err ignored;
    uint64_t v = 0;
    bool ok;

    ok = link_exists(b->name) && fs_read(b->dir, "subnet", &text, &ignored) == 0 &&
         parse_subnet(buf_str(&text), &v);
    buf_done(&text);
    b->second = (unsigned)v;
    return ok;
}

/* Takes the lock, which bridge_done gives back. */
static int open_dir(struct bridge *b, const char *run_dir, struct err *e)
{
    const char *instance = strrchr(run_dir, '-');
    unsigned char digest[SHA256_BYTES];
    char path[96];

    b->dir = b->lock = -1;
    sha256_of(str_of(run_dir), digest);
    if (instance && strcmp(instance, "-main") == 0) {
        (void)snprintf(b->name, sizeof(b->name), "strata0");
    } else {
        (void)snprintf(b->name, sizeof(b->name), "strata-%02x%02x%02x", digest[0], digest[1],
                       digest[2]);
    }
    (void)snprintf(path, sizeof(path), "%s/net", run_dir);
    if (fs_mkdir(AT_FDCWD, path, 0700, e) < 0) {
        return -1;
    }
    b->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b->lock = b->dir < 0 ? -1 : openat(b->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (b->lock < 0 || flock(b->lock, LOCK_EX) < 0) {
        err_sys(e, "open %s", path);
        bridge_done(b);
        return -1;
    }
    return 0;
}

static int open_bridge(struct bridge *b, const char *run_dir, struct err *e)
{
    if (open_dir(b, run_dir, e) < 0) {
        return -1;
    }
    if (!read_subnet(b) && (allow_forwarding(e) < 0 || make_bridge(b, e) < 0)) {
        bridge_done(b);
        return -1;
    }
    return 0;
}

/* --- addresses --- */

static int put_lease(const struct bridge *b, const char *file, const char *text, struct err *e)
{
    SCOPED(closep) int fd = openat(b->dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0) {
        return err_sys(e, "create %s", file);
    }
    return fs_write_all(fd, str_of(text), e);
}

static int take_address(const struct bridge *b, const char *id, char out[16], struct err *e)
{
    char by_id[80];

    (void)snprintf(by_id, sizeof(by_id), "id-%s", id);
    for (unsigned host = 2; host < 65534; host++) {
        char address[24];

        (void)snprintf(address, sizeof(address), "10.%u.%u.%u", b->second, host >> 8, host & 255);
        if (faccessat(b->dir, address, F_OK, 0) == 0) {
            continue;
        }
        if (put_lease(b, address, id, e) < 0 || put_lease(b, by_id, address, e) < 0) {
            return -1;
        }
        (void)snprintf(out, 16, "%s", address);
        return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "network bridge: all addresses of 10.%u.0.0/16 are in use",
                   b->second);
}

/* --- the cable --- */

static int plug(const struct bridge *b, const char *id, pid_t init, const char *address,
                struct err *e)
{
    struct buf script = BUF_MAX(4 * KIB);
    unsigned char digest[SHA256_BYTES];
    char path[40], veth[16];
    SCOPED(closep) int netns = -1;
    int rc;

    sha256_of(str_of(id), digest);
    (void)snprintf(veth, sizeof(veth), "sv%02x%02x%02x%02x%02x", digest[0], digest[1], digest[2],
                   digest[3], digest[4]);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)init);
    netns = open(path, O_RDONLY | O_CLOEXEC);
    if (netns < 0) {
        return err_sys(e, "open %s", path);
    }
    (void)buf_printf(&script,
                     "link add %s type veth peer name eth0 netns %d\nlink set %s master %s\n"
                     "link set %s type bridge_slave isolated on\nlink set %s up\n",
                     veth, (int)init, veth, b->name, veth, veth);
    rc = run_ip(-1, &script, e);
    buf_clear(&script);
    (void)buf_printf(&script,
                     "link set lo up\naddr add %s/16 dev eth0\nlink set eth0 up\n"
                     "route add default via 10.%u.0.1\n",
                     address, b->second);
    if (rc == 0) {
        rc = run_ip(netns, &script, e);
    }
    buf_done(&script);
    return rc;
}

int bridge_attach(const char *run_dir, const char *id, pid_t init, struct err *e)
{
    struct bridge b;
    char address[16];
    int rc;

    if (open_bridge(&b, run_dir, e) < 0) {
        return -1;
    }
    rc = take_address(&b, id, address, e);
    if (rc == 0) {
        rc = plug(&b, id, init, address, e);
    }
    bridge_done(&b);
    return rc;
}

static bool is_used(const struct bridge *b)
{
    int fd = openat(b->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *ent;
    bool used = false;

    if (d == NULL) {
        closep(&fd);
        return true;
    }
    while (!used && (ent = readdir(d))) {
        used = strncmp(ent->d_name, "id-", 3) == 0;
    }
    (void)closedir(d);
    return used;
}

/* Nothing of ours stays in the host's network without a container that needs it. */
static void remove_bridge(const struct bridge *b)
{
    struct buf text = BUF_MAX(256);
    struct err ignored;
    const char *argv[] = {find_program(nft_paths, "nftables", &ignored), "-f", "-", NULL};

    (void)unlinkat(b->dir, "subnet", 0);
    (void)buf_printf(&text, "link del %s\n", b->name);
    (void)!run_ip(-1, &text, &ignored);
    buf_clear(&text);
    (void)buf_printf(&text, "delete table ip %s\n", b->name);
    if (argv[0]) {
        (void)!run_script(argv, -1, buf_str(&text), &ignored);
    }
    buf_done(&text);
}

/* The veth pair went with the container's network namespace. */
void bridge_release(const char *run_dir, const char *id)
{
    struct buf address = BUF_MAX(16);
    struct bridge b;
    char path[200], by_id[80];
    struct err ignored;

    (void)snprintf(by_id, sizeof(by_id), "id-%s", id);
    (void)snprintf(path, sizeof(path), "%s/net/%s", run_dir, by_id);
    if (access(path, F_OK) < 0 || open_dir(&b, run_dir, &ignored) < 0) {
        return;
    }
    if (fs_read(b.dir, by_id, &address, &ignored) == 0 && address.len > 0 && address.p[0] == '1') {
        (void)unlinkat(b.dir, address.p, 0);
    }
    (void)unlinkat(b.dir, by_id, 0);
    buf_done(&address);
    if (!is_used(&b)) {
        remove_bridge(&b);
    }
    bridge_done(&b);
}

void bridge_sweep(const char *run_dir, bool (*alive)(void *ctx, const char *id), void *ctx)
{
    char path[96];
    struct dirent *ent;
    DIR *d;

    (void)snprintf(path, sizeof(path), "%s/net", run_dir);
    d = opendir(path);
    while (d && (ent = readdir(d))) {
        if (strncmp(ent->d_name, "id-", 3) == 0 && helper_id_ok(str_of(ent->d_name + 3)) &&
            !alive(ctx, ent->d_name + 3)) {
            bridge_release(run_dir, ent->d_name + 3);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

/* --- names --- */

static bool is_loopback_server(struct str line)
{
    struct str word;

    while (line.len > 0 && (line.p[0] == ' ' || line.p[0] == '\t')) {
        line = str_from(line, 1);
    }
    if (!str_starts(line, STR("nameserver"))) {
        return false;
    }
    word = str_trim(str_from(line, strlen("nameserver")));
    return str_starts(word, STR("127.")) || str_eq_c(word, "::1");
}

void bridge_resolv_conf(struct str host, enum runtime_network network, struct buf *out)
{
    while (host.p) {
        struct str line = str_cut(&host, '\n');

        if (line.len > 0 && (network == RUNTIME_NET_HOST || !is_loopback_server(line))) {
            (void)buf_add(out, line);
            (void)buf_add_c(out, "\n");
        }
    }
}
