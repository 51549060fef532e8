#include "rootfs/fixture.h"

#include "base/clock.h"
#include "base/map.h"
#include "content/content.h"

#include <poll.h>
#include <pthread.h>

/* The server's side: a content store beside the helper. */
struct server {
    struct content *content;
    struct rootfs *rootfs;
};

static struct server server_open(struct fixture *f)
{
    struct err e = {0};
    struct server s = {.content = content_open("jobs/blobs", &e)};

    if (s.content == NULL) {
        fail_msg("%s", e.msg);
    }
    s.rootfs = rootfs_new(s.content, f->client);
    return s;
}

static void server_close(struct server *s)
{
    rootfs_free(s->rootfs);
    content_close(s->content);
}

/* A layer with one file, stored as `form` of its tar. */
static struct rootfs_layer put_layer(struct server *s, const char *name, const char *text,
                                     struct buf (*form)(struct str))
{
    const struct tar_entry entries[] = {{.name = name, .data = text}};
    struct buf tar = tar_of(entries, 1), blob = form(buf_str(&tar));
    struct rootfs_layer l = {0};
    struct err e = {0};

    (void)snprintf(l.diff_id, sizeof(l.diff_id), "sha256:");
    sha256_hex_of(buf_str(&tar), l.diff_id + 7);
    if (content_blob_put(s->content, buf_str(&blob), l.digest, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    buf_done(&tar);
    buf_done(&blob);
    return l;
}

static void layers_are_prepared_under_their_chain_ids(void **state)
{
    struct fixture *f = *state;
    struct server s;
    struct rootfs_layer layers[2];
    char chains[2][65], text[200], want[65];
    struct err e = {0};

    NEEDS_ROOT(f);
    s = server_open(f);
    layers[0] = put_layer(&s, "a", "one", gzip_of);
    layers[1] = put_layer(&s, "b", "two", zstd_of);
    if (rootfs_prepare(s.rootfs, layers, 2, chains, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    assert_string_equal(chains[0], layers[0].diff_id + 7);
    (void)snprintf(text, sizeof(text), "%s %s", layers[0].diff_id, layers[1].diff_id);
    sha256_hex_of(str_of(text), want);
    assert_string_equal(chains[1], want);
    layer_text(chains[0], "a", "one");
    layer_text(chains[1], "b", "two");
    /* The blobs are not needed any more, neither by us nor by a server that starts anew. */
    assert_int_equal(content_blob_delete(s.content, layers[0].digest, &e), 0);
    assert_int_equal(rootfs_prepare(s.rootfs, layers, 2, chains, &e), 0);
    server_close(&s);
}

/* Whoever writes another's diff_id into his configuration has not the layer's bytes by that. */
static void a_layer_that_is_there_is_only_given_for_a_blob_of_it(void **state)
{
    struct fixture *f = *state;
    struct server s;
    struct rootfs_layer own, junk, again;
    char chain[1][65], stamp[200];
    struct err e = {0};

    NEEDS_ROOT(f);
    s = server_open(f);
    own = put_layer(&s, "secret", "text", gzip_of);
    assert_int_equal(rootfs_prepare(s.rootfs, &own, 1, chain, &e), 0);
    junk = put_layer(&s, "other", "junk", gzip_of);
    memcpy(junk.diff_id, own.diff_id, sizeof(junk.diff_id));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rootfs_prepare(s.rootfs, &junk, 1, chain, &e), -1);
        assert_int_equal(e.kind, ERR_INVALID);
        assert_non_null(strstr(e.msg, "but the image's configuration says"));
    }
    again = put_layer(&s, "secret", "text", zstd_of);
    assert_int_equal(rootfs_prepare(s.rootfs, &again, 1, chain, &e), 0);
    (void)snprintf(stamp, sizeof(stamp), "rootfs/%s/blob-%s", chain[0], again.digest + 7);
    assert_int_equal(access(stamp, F_OK), 0);
    layer_text(chain[0], "secret", "text");
    assert_int_equal(count_names("rootfs"), 1);
    rootfs_free(s.rootfs); /* a server that starts anew believes what is written down, only that */
    s.rootfs = rootfs_new(s.content, f->client);
    assert_int_equal(rootfs_prepare(s.rootfs, &again, 1, chain, &e), 0);
    assert_int_equal(rootfs_prepare(s.rootfs, &junk, 1, chain, &e), -1);
    assert_int_equal(unlink(stamp), 0);
    assert_int_equal(rootfs_prepare(s.rootfs, &own, 1, chain, &e), 0);
    server_close(&s);
}

static void broken_layers_are_told_with_layer_and_entry(void **state)
{
    struct fixture *f = *state;
    struct server s;
    struct rootfs_layer l;
    char chain[1][65];
    struct err e = {0};

    NEEDS_ROOT(f);
    s = server_open(f);
    l = put_layer(&s, "../evil", "x", gzip_of);
    assert_int_equal(rootfs_prepare(s.rootfs, &l, 1, chain, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    assert_non_null(strstr(e.msg, "layer sha256:"));
    assert_non_null(strstr(e.msg, "layer entry \"../evil\": '..' in a name of a layer"));

    l = put_layer(&s, "fine", "x", gzip_of);
    l.diff_id[10] = l.diff_id[10] == '0' ? '1' : '0';
    assert_int_equal(rootfs_prepare(s.rootfs, &l, 1, chain, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);
    (void)snprintf(l.diff_id, sizeof(l.diff_id), "sha512:0");
    assert_int_equal(rootfs_prepare(s.rootfs, &l, 1, chain, &e), -1);
    assert_int_equal(e.kind, ERR_INVALID);

    l = put_layer(&s, "fine", "y", gzip_of);
    assert_int_equal(content_blob_delete(s.content, l.digest, &e), 0);
    assert_int_equal(rootfs_prepare(s.rootfs, &l, 1, chain, &e), -1);
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    server_close(&s);
}

struct flight {
    struct server *s;
    const struct rootfs_layer *layers;
    size_t n;
    int rc;
    struct err e;
};

static void *flight_main(void *arg)
{
    struct flight *w = arg;
    char chains[4][65];

    w->rc = rootfs_prepare(w->s->rootfs, w->layers, w->n, chains, &w->e);
    return NULL;
}

/* --- single flight, with a helper that only counts: also without root --- */

static int op_count(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    struct map *seen = ctx;

    if (helper_fd_check(fd, e) < 0) {
        return -1;
    }
    if (map_put(seen, payload, seen) != NULL) {
        return err_set(e, ERR_CONFLICT, "asked for twice");
    }
    helper_answer(q, STR_EMPTY, -1);
    return 0;
}

static pid_t fork_counter(int *fd)
{
    static struct map seen;
    static const struct helper_operation ops[] = {{HELPER_ROOTFS_UNPACK, op_count, &seen}};
    int ends[2];
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid = fork();
    if (pid == 0) {
        struct err e = {0};
        struct helper_server *s;

        (void)close(ends[0]);
        s = helper_server_new(ends[1], ops, 1, &e);
        _exit(s == NULL || helper_server_run(s, &e) < 0);
    }
    (void)close(ends[1]);
    *fd = ends[0];
    return pid;
}

static void run_flights(struct server *s)
{
    struct rootfs_layer layers[4];
    pthread_t threads[8];
    struct flight flights[8];

    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "n%zu", i);
        layers[i] = put_layer(s, name, "text", gzip_of);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        flights[i] = (struct flight){.s = s, .layers = layers, .n = ARRAY_LEN(layers)};
        assert_int_equal(pthread_create(&threads[i], NULL, flight_main, &flights[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        if (flights[i].rc < 0) {
            fail_msg("%s", flights[i].e.msg);
        }
    }
}

static void many_jobs_that_want_the_same_layers_unpack_them_once(void **state UNUSED)
{
    char dir[] = "/tmp/strata-rootfs-XXXXXX";
    struct err e = {0};
    struct fixture f = {0};
    struct server s;
    int fd;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("jobs", 0700), 0);
    f.helper = fork_counter(&fd);
    f.client = helper_client_new(fd, NULL, NULL);
    s = server_open(&f);
    run_flights(&s);
    server_close(&s);
    stop_helper(&f);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void a_helper_that_died_is_told_and_a_new_one_goes_on(void **state)
{
    struct fixture *f = *state;
    struct server s;
    struct rootfs_layer l;
    char chain[1][65];
    struct err e = {0};

    NEEDS_ROOT(f);
    s = server_open(f);
    l = put_layer(&s, "a", "a", gzip_of);
    (void)kill(f->helper, SIGKILL);
    assert_int_equal(rootfs_prepare(s.rootfs, &l, 1, chain, &e), -1);
    assert_int_equal(e.kind, ERR_UNAVAILABLE);
    helper_client_free(f->client);
    assert_int_equal(waitpid(f->helper, NULL, 0), f->helper);
    start_helper(f);
    rootfs_free(s.rootfs);
    s.rootfs = rootfs_new(s.content, f->client);
    if (rootfs_prepare(s.rootfs, &l, 1, chain, &e) < 0) {
        fail_msg("%s", e.msg);
    }
    server_close(&s);
}

static void half_unpacked_layers_are_swept_at_start_and_whole_ones_stay(void **state)
{
    struct fixture *f = *state;
    static const struct tar_entry whole[] = {{.name = "x", .data = "x"}};
    static const char half[] =
        "rootfs/00000000000000000000000000000000000000000000000000000000000000ff";
    char chain[65], path[200];
    int64_t deadline;

    NEEDS_ROOT(f);
    UNPACK(f, whole, chain);
    stop_helper(f);
    assert_int_equal(mkdir(half, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/fs", half);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/fs/file", half);
    put_file(path, "half", 0644);
    put_file("rootfs/stray", "stray", 0644);
    start_helper(f);
    UNPACK(f, whole, chain); /* an answer: it has started */
    assert_int_equal(access(half, F_OK), -1);
    layer_text(chain, "x", "x");
    deadline = clock_mono_ms() + 10000;
    while (count_names("rootfs") > 1 && clock_mono_ms() < deadline) {
        (void)poll(NULL, 0, 5); /* the remover is a process of its own */
    }
    assert_int_equal(count_names("rootfs"), 1);
}

static void more_layers_than_an_overlay_takes_are_refused(void **state UNUSED)
{
    struct rootfs_layer *layers = xnew_array(struct rootfs_layer, LIMIT_LAYERS + 1);
    SCOPED(rootfs_freep) struct rootfs *r = rootfs_new(NULL, NULL);
    struct err e = {0};

    assert_int_equal(rootfs_prepare(r, layers, LIMIT_LAYERS + 1, NULL, &e), -1);
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(rootfs_prepare(r, layers, 0, NULL, &e), 0); /* FROM scratch, nothing added */
    free(layers);
}

#define ROOTFS_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_start, fixture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOTFS_TEST(layers_are_prepared_under_their_chain_ids),
        ROOTFS_TEST(a_layer_that_is_there_is_only_given_for_a_blob_of_it),
        ROOTFS_TEST(broken_layers_are_told_with_layer_and_entry),
        cmocka_unit_test(many_jobs_that_want_the_same_layers_unpack_them_once),
        ROOTFS_TEST(a_helper_that_died_is_told_and_a_new_one_goes_on),
        ROOTFS_TEST(half_unpacked_layers_are_swept_at_start_and_whole_ones_stay),
        cmocka_unit_test(more_layers_than_an_overlay_takes_are_refused),
    };

    return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
