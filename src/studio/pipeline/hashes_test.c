/* Hashes of a folder of more files than are kept otherwise: the runner asks for all of them, again
 * and again, until all are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/pipeline_priv.h"

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

static void a_folder_of_many_files_comes_to_an_end(void **state)
{
    struct pipelines s = {0};
    int fd = memfd_create("file", MFD_CLOEXEC);
    int looks = 0;

    (void)state;
    lock_init(&s.lock, LOCK_pipelines);
    list_init(&s.hashes);
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    assert_int_equal(pthread_create(&s.hasher, NULL, hashes_main, &s), 0);
    while (look(&s, fd, /* run */ 7) < FILES && looks < LOOKS) {
        looks++;
    }
    assert_true(looks < 20);
    assert_int_equal(look(&s, fd, /* another run */ 8), FILES);
    lock_take(&s.lock);
    s.stopping = true;
    lock_broadcast(&s.lock);
    lock_drop(&s.lock);
    (void)pthread_join(s.hasher, NULL);
    hashes_done(&s);
    lock_done(&s.lock);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_many_files_comes_to_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
