/* Hashes of a folder of more files than are kept otherwise: the runner asks for all of them, again
 * and again, until all are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/pipeline_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILES = 20000, FILE_BYTES = 8 * 1024, LOOKS = 2000 };

/* How many are known. */
static size_t look(struct pipelines *s, int fd, int64_t run_id)
{
    struct file_name name = {.project_id = 1, .volume = "data", .size_bytes = FILE_BYTES};
    size_t known = 0;
    char hex[65];
    struct err e;

    for (uint64_t i = 1; i <= FILES; i++) {
        name.inode = i;
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        known += hashes_ask(s, &name, run_id, fd, hex, &e) == 1;
    }
    hashes_sweep(s);
    return known;
}

static void begin(struct pipelines *s)
{
    lock_init(&s->lock, LOCK_pipelines);
    list_init(&s->hashes);
    assert_int_equal(pthread_create(&s->hasher, NULL, hashes_main, s), 0);
}

static void end(struct pipelines *s)
{
    lock_take(&s->lock);
    s->stopping = true;
    lock_broadcast(&s->lock);
    lock_drop(&s->lock);
    (void)pthread_join(s->hasher, NULL);
    hashes_done(s);
    lock_done(&s->lock);
}

static void a_folder_of_many_files_comes_to_an_end(void **state)
{
    struct pipelines s = {0};
    int fd = memfd_create("file", MFD_CLOEXEC);
    int looks = 0;

    (void)state;
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    begin(&s);
    while (look(&s, fd, /* run */ 7) < FILES && looks < LOOKS) {
        looks++;
    }
    assert_true(looks < 20);
    assert_int_equal(look(&s, fd, /* another run */ 8), FILES);
    end(&s);
    (void)close(fd);
}

static void what_did_not_reach_the_disk_is_not_synced_again(void **state)
{
    const struct file_name name = {
        .project_id = 1, .volume = "data", .size_bytes = 5, .is_synced = true};
    struct lock *l;
    struct pipelines s = {0};
    int fd = open("/proc/version", O_RDONLY | O_CLOEXEC); /* which is on no disk */
    struct err e = {0};
    char hex[65];
    int rc;

    (void)state;
    begin(&s);
    l = &s.lock;
    while ((rc = hashes_ask(&s, &name, 7, fd, hex, &e)) == HASH_PENDING) {
        WITH_LOCK(l);
        while (!s.woken) {
            lock_wait(l);
        }
    }
    assert_int_equal(rc, -1);
    assert_int_equal(e.sys, EINVAL);
    assert_false(step_error_passes(&e));
    end(&s);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_many_files_comes_to_an_end),
        cmocka_unit_test(what_did_not_reach_the_disk_is_not_synced_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
